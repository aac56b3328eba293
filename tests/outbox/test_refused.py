"""Durable receivers on backends that cannot keep the promise."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.backends.dummy import DummyBackend
from signals_plus.backends.handler import backends
from signals_plus.exceptions import InvalidReceiverError
from signals_plus.outbox.models import Message
from signals_plus.testing import receivers_of
from tests.outbox.conftest import committing_tests
from tests.testapp.models import Item, Tag

BACKENDS = "signals_plus.backends"


class InTheDatabase(DummyBackend):
    """Writes its tasks in the user's transaction."""

    @property
    def transaction_alias(self) -> str | None:
        return "default"


def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
    Tag.objects.create(name=instance.name)


class TestBackendWithoutWorkers:
    @pytest.mark.parametrize("durable", [True, "publish"])
    @pytest.mark.parametrize("kind", ["thread.ThreadBackend", "immediate.ImmediateBackend"])
    def test_refuses_the_receiver_when_it_is_connected(
        self, kind: str, durable: Any, settings: Any
    ) -> None:
        """Its tasks would die with the process, or with the relay."""
        settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": f"{BACKENDS}.{kind}"}}

        with pytest.raises(InvalidReceiverError) as caught:
            receiver_task(post_save, sender=Item, durable=durable, name="shop.a")(handle)

        assert str(caught.value) == (
            f"Receiver 'shop.a' has durable={durable!r}, and the backend 'default' "
            f"({kind.partition('.')[2]}) runs tasks in the process that enqueues them. Leave out "
            "durable=, or name the backend= of a queue that has workers."
        )
        assert receivers_of(post_save, Item) == []

    @committing_tests
    def test_takes_it_where_it_stands_for_another_queue(self, settings: Any) -> None:
        """In tests and scripts: it runs at once, and its message is gone."""
        entry = {
            "BACKEND": f"{BACKENDS}.immediate.ImmediateBackend",
            "OPTIONS": {"ignore_unsupported": True, "raise_errors": True},
        }
        settings.SIGNALS_PLUS_BACKENDS = {"default": entry}
        receiver_task(post_save, sender=Item, durable=True, name="shop.a")(handle)

        with transaction.atomic():
            Item.objects.create(name="a")

        assert Tag.objects.get().name == "a"
        assert not Message.objects.exists()

    @committing_tests
    def test_that_runs_nothing_takes_all(self, settings: Any) -> None:
        """Tasks that are switched off wait in the outbox."""
        settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": f"{BACKENDS}.dummy.DummyBackend"}}
        receiver_task(post_save, sender=Item, durable=True, name="shop.a")(handle)

        with transaction.atomic():
            Item.objects.create(name="a")

        assert len(backends["default"].enqueued) == 1  # type: ignore[attr-defined]
        assert Message.objects.get().receiver == "shop.a"


class TestBackendThatEnqueuesWithinTheTransaction:
    def test_refuses_the_receiver_when_it_is_connected(self, settings: Any) -> None:
        """Its task comes and goes with the transaction without an outbox."""
        settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": f"{__name__}.InTheDatabase"}}

        with pytest.raises(InvalidReceiverError) as caught:
            receiver_task(post_save, sender=Item, durable=True, name="shop.a")(handle)

        assert str(caught.value) == (
            "Receiver 'shop.a' has durable=True, and its backend enqueues within the transaction. "
            "Leave out durable=, or name a backend that waits for the commit."
        )
