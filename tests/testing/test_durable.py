"""Durable receivers: what is captured only names a message of the outbox."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.outbox.models import Message
from signals_plus.testing import capture_tasks
from tests.testapp.models import Item
from tests.testing.test_capture_signals import failure

pytestmark = pytest.mark.django_db(databases=["default", "other"])

ran: list[str] = []


def handle(instance: Item, **kwargs: Any) -> None:
    ran.append(instance.name)


def handle_batch(events: list[Any], **kwargs: Any) -> None:
    ran.extend(event.instance.name for event in events)


@pytest.mark.parametrize("durable", [True, "publish"])
@pytest.mark.parametrize("batch", [False, True])
def test_captured_and_run(durable: Any, batch: bool) -> None:
    """Known by its row, and done when it has run."""
    ran.clear()
    function = handle_batch if batch else handle
    with capture_tasks() as tasks:
        receiver_task(post_save, sender=Item, durable=durable, batch=batch)(function)
        with transaction.atomic():
            item = Item.objects.create(name="a")
        with transaction.atomic():
            Item.objects.create(name="b")
            transaction.set_rollback(True)

    tasks.assert_enqueued(function, instance=item, times=1)
    text = failure(tasks.assert_enqueued, function, instance=Item(pk=10_000))
    assert "-> committed" in text
    assert "-> rolled back" in text
    tasks.run()
    assert ran == ["a"]
    tasks.assert_enqueued(function, instance=item, times=1)
    assert not Message.objects.exists()
