"""Who is connected to what, and connections that last for a block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import Signal
from django.test import TestCase

from signals_plus import receiver, receiver_on_commit, receiver_task
from signals_plus.registry import registry
from signals_plus.testing import (
    SignalsMixin,
    assert_connected,
    capture_tasks,
    isolated_receivers,
    mute_signals,
    receivers_of,
)
from tests.testapp.models import Item, ItemProxy, Tag
from tests.testing.test_capture_signals import failure
from tests.testing.test_run_on_commit import errors, run

pytestmark = pytest.mark.django_db

custom = Signal()


def first(**kwargs: Any) -> None: ...
def second(**kwargs: Any) -> None: ...
def native(**kwargs: Any) -> None: ...


class TestReceiversOf:
    def test_are_functions_in_the_order_of_their_calls(self) -> None:
        """However they were connected, and muted or not."""
        receiver(post_save, sender=Tag)(first)
        receiver_on_commit(post_save, sender=Tag, priority=1)(second)
        post_save.connect(native, sender=Tag)

        with mute_signals(post_save):
            found = receivers_of(post_save, Tag)

        assert found == [second, first, native]
        assert receivers_of(post_save, "testapp.Tag") == found
        assert receivers_of(post_save, Item) == []
        assert receivers_of(custom) == []

    @pytest.mark.parametrize("all_threads", [False, True])
    def test_leave_every_mute_out_of_account(self, all_threads: bool) -> None:
        """Those of all signals and of single receivers too."""
        receiver(post_save, sender=Tag)(first)
        post_save.connect(native, sender=Tag)

        with (
            mute_signals(receivers=[first], all_threads=all_threads),
            mute_signals(senders=[Tag], all_threads=all_threads),
            mute_signals(post_save, all_threads=all_threads),
        ):
            assert receivers_of(post_save, Tag) == [first, native]

    def test_are_called_in_this_order_async_ones_last(self) -> None:
        """As Django calls them, for one sender and for all."""

        async def coroutine(**kwargs: Any) -> None: ...

        custom.connect(coroutine, sender=Tag)
        custom.connect(native)
        custom.connect(first, sender=Tag)

        assert receivers_of(custom, Tag) == [native, first, coroutine]
        assert [each for each, _ in custom.send(Tag)] == [native, first, coroutine]
        assert receivers_of(custom) == [native]


class TestAssertConnected:
    def test_holds(self) -> None:
        """For one sender, and for all."""
        receiver(post_save, sender=Tag)(first)
        custom.connect(native)

        assert_connected(first, post_save, Tag)
        assert_connected(first, post_save, "testapp.Tag")
        assert_connected(native, custom)
        assert_connected(native, custom, sender="anybody")

    def test_tells_of_other_senders(self) -> None:
        """Whoever connected it."""
        receiver(post_save, sender=[Tag, Item])(first)
        post_save.connect(native, sender=ItemProxy)

        text = failure(assert_connected, first, post_save, ItemProxy)

        assert "test_wiring.first is not connected to post_save of testapp.ItemProxy." in text
        assert "It is connected to post_save of testapp.Tag." in text
        assert "testapp.ItemProxy is a proxy of testapp.Item" in text
        assert "sender=[Item, ItemProxy]" in text
        assert text.endswith(
            "Connected to post_save of testapp.ItemProxy:\n   " + __name__ + ".native"
        )

    def test_tells_of_names_of_no_model(self) -> None:
        """Here and there."""
        for ask in (
            lambda: assert_connected(first, post_save, "testapp.Tga"),
            lambda: receivers_of(post_save, "testapp.Tga"),
        ):
            assert "The sender 'testapp.Tga' names no model." in failure(ask)

    def test_tells_what_is_usually_wrong(self) -> None:
        """A module that nobody imports."""
        text = failure(assert_connected, first, custom)

        assert f"is the module {__name__} imported when Django starts?" in text
        assert text.endswith("   nobody")

    def test_tells_of_other_signals(self) -> None:
        """Django's own and others; the module is imported, then."""
        receiver([post_save, custom], sender=Tag)(first)
        pre_save.connect(native, sender=Tag)

        text = failure(assert_connected, first, post_delete, Tag)
        assert "test_wiring.first is not connected to post_delete of testapp.Tag." in text
        assert "It is connected to post_save of testapp.Tag." in text
        assert f"It is connected to {__name__}.custom of testapp.Tag." in text
        assert "imported when Django starts?" not in text

        text = failure(assert_connected, native, custom)
        assert "It is connected to pre_save of testapp.Tag." in text
        assert "Hint" not in text

    def test_tells_of_other_signals_of_every_sender(self) -> None:
        """Once, and of senders that nobody knows."""
        post_save.connect(native)
        custom.connect(second, sender="anybody")

        text = failure(assert_connected, native, post_delete, Tag)
        assert text.count("It is connected to") == text.count("to post_save.") == 1
        text = failure(assert_connected, second, post_delete, Tag)
        assert f"It is connected to {__name__}.custom.\n" in text


def make_later_model() -> None:
    meta = type("Meta", (), {"app_label": "testapp"})
    type("Later", (models.Model,), {"__module__": __name__, "Meta": meta})


@pytest.fixture
def no_later_model() -> Iterator[None]:
    """No such model afterwards, and nothing that waits for one."""
    yield
    del apps.all_models["testapp"]["later"]
    apps.clear_cache()
    apps._pending_operations.pop(("testapp", "latest"), None)


class TestIsolatedReceivers:
    def test_undoes_what_the_block_connects_and_disconnects(self) -> None:
        """By whatever means, on every signal, after errors too."""
        receiver(post_save, sender=Tag)(first)
        before = list(post_save.receivers), dict(registry.registered())

        with pytest.raises(ZeroDivisionError), isolated_receivers(), capture_tasks():
            receiver_task(post_save, sender=Tag)(second)
            custom.connect(native)
            post_save.connect(native, sender=Tag)
            post_save.disconnect(first, sender=Tag)
            receiver(post_save, sender="testapp.Later")(first)
            raise ZeroDivisionError

        assert (post_save.receivers, registry.registered()) == before
        assert custom.receivers == []
        assert receivers_of(post_save, Tag) == [first]

    def test_receivers_that_are_replaced(self) -> None:
        """The old way to silence one of Django's signals connects and disconnects nothing."""
        post_save.connect(print, sender=Tag)
        before = [*post_save.receivers]

        with isolated_receivers():
            post_save.receivers = []
            post_save.sender_receivers_cache.clear()

        assert post_save.receivers == before
        assert print in receivers_of(post_save, Tag)

    def test_blocks_overlap(self) -> None:
        """Neither brings back what the other undid."""
        one, two = isolated_receivers(), isolated_receivers()
        with one:
            custom.connect(first)
            two.__enter__()
            custom.connect(second)
        two.__exit__(None, None, None)

        assert custom.receivers == []

    def test_leave_what_else_waits_for_models(self, no_later_model: None) -> None:
        """Relations, say: neither lost, if they began in the block, nor done twice."""
        done: list[str] = []
        label = ("testapp", "later")
        apps.lazy_model_operation(lambda model: done.append("before"), label)

        with isolated_receivers():
            post_save.connect(first, sender="testapp.Later")
            make_later_model()
            assert receivers_of(post_save, "testapp.Later") == [first]
        with isolated_receivers():
            apps.lazy_model_operation(lambda model: done.append("within"), ("testapp", "latest"))

        assert done == ["before"]
        assert label not in apps._pending_operations
        assert len(apps._pending_operations["testapp", "latest"]) == 1
        assert receivers_of(post_save, "testapp.Later") == []

    def test_leave_what_was_connected_before_to_a_model_loaded_within(
        self, no_later_model: None
    ) -> None:
        """By name, with us and with Django; as what was disconnected."""
        with isolated_receivers():
            receiver(post_save, sender="testapp.Later")(first)
            post_save.connect(native, sender="testapp.Later")
            with isolated_receivers():
                post_save.connect(second)
                make_later_model()

            assert receivers_of(post_save, "testapp.Later") == [first, native]

    def test_until_the_end_of_the_test(self) -> None:
        """By the mixin."""

        class Tests(SignalsMixin, TestCase):
            def test_it(self) -> None:
                self.isolated_receivers()
                custom.connect(first)
                assert receivers_of(custom) == [first]

        assert errors(run(Tests)) == []
        assert custom.receivers == []

    def test_decorates_classes(self) -> None:
        """Of unittest."""

        @isolated_receivers()
        class Tests(TestCase):
            def test_it(self) -> None:
                custom.connect(first)
                assert receivers_of(custom) == [first]

        assert errors(run(Tests)) == []
        assert custom.receivers == []
