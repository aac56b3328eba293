"""A queue that nobody takes from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.backends.dummy import DummyBackend
from signals_plus.backends.handler import backends
from signals_plus.registry import registry
from tests.testapp.models import Item, Tag

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def dummy(settings: Any) -> DummyBackend:
    settings.SIGNALS_PLUS_BACKENDS = {
        "default": {"BACKEND": "signals_plus.backends.dummy.DummyBackend"}
    }
    backend = backends["default"]
    assert isinstance(backend, DummyBackend)
    return backend


def refuse(sender: Any, **kwargs: Any) -> None:
    raise AssertionError("nobody runs this")


class TestEnqueued:
    def test_is_what_was_committed(self, dummy: DummyBackend) -> None:
        """In order, with the task and its payload; nothing runs."""
        receiver_task(post_save, sender=Item, name="shop.item")(refuse)
        receiver_task(post_save, sender=Tag, name="shop.tag")(refuse)

        with transaction.atomic():
            Tag.objects.create(name="a")
            Item.objects.create(name="b")
            assert dummy.enqueued == []
        with transaction.atomic():
            Item.objects.create(name="c")
            transaction.set_rollback(True)

        assert [task for task, _ in dummy.enqueued] == [
            registry["shop.tag"].task,
            registry["shop.item"].task,
        ]
        assert '"shop.tag"' in dummy.enqueued[0][1]

    def test_can_be_cleared(self, dummy: DummyBackend) -> None:
        """The same list, so that whoever holds it sees it."""
        enqueued = dummy.enqueued
        receiver_task(post_save, sender=Item, name="shop.item")(refuse)
        Item.objects.create()

        dummy.clear()

        assert enqueued == []
        Item.objects.create()
        assert len(enqueued) == 1

    def test_is_not_kept_if_that_is_not_wanted(self, settings: Any) -> None:
        """Tasks are switched off, and take no memory."""
        settings.SIGNALS_PLUS_BACKENDS = {
            "default": {
                "BACKEND": "signals_plus.backends.dummy.DummyBackend",
                "OPTIONS": {"keep": False},
            }
        }
        receiver_task(post_save, sender=Item, name="shop.item")(refuse)

        Item.objects.create()

        assert backends["default"].enqueued == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "asking",
    [
        {"queue_name": "mail", "queue_priority": 1, "run_after": timedelta(seconds=1)},
        {"autoretry_for": [OSError], "ttl": 5},
        {"batch": True},
        {"coalesce": True},
    ],
)
def test_takes_every_receiver(asking: dict[str, Any], dummy: DummyBackend) -> None:
    """As they are in production, whatever the queue there."""

    def see(sender: Any, events: Any = None, **kwargs: Any) -> None: ...

    receiver_task(post_save, sender=Item, name="shop.see", **asking)(see)

    Item.objects.create()

    ((task, _),) = dummy.enqueued
    assert task.name == "shop.see"
