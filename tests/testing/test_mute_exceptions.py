"""``mute_signals(..., except_=[...])`` and the mixin."""

from __future__ import annotations

import threading
import unittest
from typing import Any

import pytest
from django.db.models.signals import post_save
from django.dispatch import Signal
from django.test import TestCase

from signals_plus import receiver
from signals_plus.exceptions import InvalidReceiverError
from signals_plus.testing import MuteSignalsMixin, SignalsMixin, mute_signals
from tests.testapp.models import Item, Tag
from tests.testing.test_run_on_commit import errors, run

pytestmark = pytest.mark.django_db

custom = Signal()
called: list[str] = []


def first(**kwargs: Any) -> None:
    called.append("first")


def second(**kwargs: Any) -> None:
    called.append("second")


@pytest.fixture(autouse=True)
def _connected() -> None:
    called.clear()
    receiver(post_save, sender=Tag)(first)
    post_save.connect(second, sender=Tag)


class TestExcept:
    @pytest.mark.parametrize(("function", "name"), [(first, "first"), (second, "second")])
    def test_leaves_a_receiver_alive(self, function: Any, name: str) -> None:
        """Ours and native ones."""
        with mute_signals(post_save, except_=[function]):
            Tag.objects.create()

        assert called == [name]

    def test_goes_with_senders(self) -> None:
        """Those of other senders are not muted at all."""
        with mute_signals(post_save, senders=[Item], except_=[first]):
            Tag.objects.create()

        assert called == ["first", "second"]

    def test_goes_with_decorators(self) -> None:
        """Which make a block of their own each time."""

        @mute_signals(post_save, except_=[first])
        def create() -> None:
            Tag.objects.create()

        create()

        assert called == ["first"]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"except_": [first]}, "without signals"),
            ({"except_": [first], "receivers": [second]}, "receivers= and except_="),
            ({"except_": ["first"]}, "'first' as a receiver"),
            ({"except_": first}, "no list"),
        ],
    )
    def test_refuses_exceptions_from_nothing(self, wrong: Any, message: str) -> None:
        """With what to write instead."""
        signals = [] if "without" in message or "and" in message else [post_save]
        with pytest.raises(InvalidReceiverError, match=message):
            mute_signals(*signals, **wrong)


class TestMixins:
    def test_mute_signals_mixin(self) -> None:
        """Set-up, tests and clean-up of the class."""

        class Tests(MuteSignalsMixin, TestCase):
            muted_signals = (post_save,)
            muted_senders = (Tag,)
            muted_receivers = (first,)

            @classmethod
            def setUpTestData(cls) -> None:
                Tag.objects.create()

            async def test_it(self) -> None:
                await Tag.objects.acreate()

        assert errors(run(Tests)) == []
        assert called == ["second", "second"]

    def test_mute_signals_mixin_in_asyncio_tests(self) -> None:
        """Whose context is that of before the class was set up."""

        class Tests(MuteSignalsMixin, unittest.IsolatedAsyncioTestCase):
            muted_signals = (custom,)

            async def test_it(self) -> None:
                custom.send(None)

        custom.connect(first)
        assert errors(run(Tests)) == []
        assert called == []

    def test_mute_signals_mixin_has_what_the_block_has(self) -> None:
        """One receiver alive, and other threads."""

        class Tests(MuteSignalsMixin, TestCase):
            muted_signals = (custom,)
            muted_except = (first,)
            muted_all_threads = True

            def test_it(self) -> None:
                thread = threading.Thread(target=custom.send, args=[None])
                thread.start()
                thread.join()

        custom.connect(first)
        custom.connect(second)
        assert errors(run(Tests)) == []
        assert called == ["first"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [("signals", post_save), ("senders", Tag), ("receivers", first), ("except", first)],
    )
    def test_mute_signals_mixin_takes_lists(self, name: str, value: Any) -> None:
        """What is none is told by the name that it has there."""
        attributes = {"muted_signals": [post_save], f"muted_{name}": value}
        case: Any = type("Tests", (MuteSignalsMixin, TestCase), attributes)

        with pytest.raises(InvalidReceiverError) as caught:
            case.setUpClass()

        assert f"was given muted_{name}={value!r}, which is no list" in str(caught.value)
        assert f"Write muted_{name}=[...]." in str(caught.value)

    def test_signals_mixin(self) -> None:
        """From the call on."""

        class Tests(SignalsMixin, TestCase):
            def test_it(self) -> None:
                self.mute_signals(post_save)
                sent = self.capture_signals(post_save)
                Tag.objects.create()
                sent.assert_sent(post_save, times=1)

        assert errors(run(Tests)) == []
        assert called == []
