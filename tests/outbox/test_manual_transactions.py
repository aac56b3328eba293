"""``set_autocommit(False)``: the project commits by itself, in whatever way Django lets it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.signals import post_save

from signals_plus import Event, receiver_task
from tests.outbox.conftest import Outbox, committing_tests
from tests.queues import RecordingBackend
from tests.testapp.models import Item

pytestmark = committing_tests


@pytest.fixture(autouse=True)
def _autocommit_afterwards() -> Iterator[None]:
    yield
    if not transaction.get_autocommit():
        transaction.rollback()
        transaction.set_autocommit(True)
    # What Django was not told of waits for the next commit, whatever that is.
    connection.run_on_commit = []


def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
    pass


def handle_batch(sender: Any, events: list[Event], **kwargs: Any) -> None:
    pass


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize(
    ("function", "options"),
    [(handle, {}), (handle, {"coalesce": True}), (handle_batch, {"batch": True})],
)
def test_messages_come_with_their_rows(
    function: Any, options: Any, is_told: bool, outbox: Outbox, queue: RecordingBackend
) -> None:
    """Where Django is not told, the database commits when autocommit is on: the relay has it."""
    if not is_told and connection.vendor == "postgresql":
        pytest.skip("refused by psycopg")
    receiver_task(post_save, sender=Item, durable=True, **options)(function)

    transaction.set_autocommit(False)
    with transaction.atomic():
        Item.objects.create(name="a")
        with transaction.atomic():
            Item.objects.create(name="b")
            transaction.set_rollback(True)
    if is_told:
        transaction.commit()
    transaction.set_autocommit(True)

    messages = outbox.messages()
    assert len(messages) == Item.objects.count() == 1
    enqueued = [str(messages[0].message_id) in payload for _, payload in queue.enqueued]
    assert enqueued == ([True] if is_told else [])


def test_messages_go_with_their_rows(outbox: Outbox, queue: RecordingBackend) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("it has committed by then")
    receiver_task(post_save, sender=Item, durable=True)(handle)

    transaction.set_autocommit(False)
    with transaction.atomic():
        Item.objects.create(name="a")
    transaction.rollback()
    transaction.set_autocommit(True)

    assert not Item.objects.exists()
    assert outbox.messages() == []
    assert queue.enqueued == []
