"""What a failing assertion tells of how it ended: a commit that failed, a callback that raised."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import post_delete, post_save

from signals_plus import receiver_on_commit, receiver_task
from signals_plus.outbox.models import Message
from signals_plus.testing import capture_tasks
from tests.testapp.models import Item
from tests.testing.test_capture_signals import failure

DATABASES = ["default", "other"]

pytestmark = [
    pytest.mark.django_db(databases=DATABASES),
    pytest.mark.parametrize(
        "_commits",
        [
            "emulated",
            pytest.param(
                "real", marks=pytest.mark.django_db(transaction=True, databases=DATABASES)
            ),
        ],
    ),
]

ROLLED_BACK = "Hint: it was scheduled, and its transaction was rolled back."
NOT_CALLED = (
    "Hint: its transaction was committed, and it was not called: a callback before it raised"
)


def label(**kwargs: Any) -> None: ...
def book(**kwargs: Any) -> None: ...
def confirm(**kwargs: Any) -> None: ...


def fail(**kwargs: Any) -> None:
    raise ZeroDivisionError


@pytest.fixture(params=[True, False], ids=["with a durable one", "without"])
def durable(request: pytest.FixtureRequest) -> bool:
    """Connect a task and perhaps a durable one, whose row is written before the commit."""
    receiver_task(post_save, sender=Item, name="shop.label")(label)
    if request.param:
        receiver_task(post_save, sender=Item, name="shop.book", durable=True)(book)
    return bool(request.param)


class TestCommitsThatFail:
    @pytest.mark.skipif(
        not connection.features.can_defer_constraint_checks, reason="checks none at the commit"
    )
    def test_are_rolled_back(self, _commits: str, durable: bool) -> None:
        """Whatever was written right before."""
        with capture_tasks() as tasks, suppress(IntegrityError), transaction.atomic():
            Item.objects.create(name="a", parent_id=10_000_000)

        for receiver in [label, book] if durable else [label]:
            text = failure(tasks.assert_enqueued, receiver)
            assert "-> committed" not in text
            assert "-> rolled back" in text
            assert ROLLED_BACK in text


class TestCallbacksThatRaise:
    def test_of_others(self, _commits: str, durable: bool) -> None:
        """The rows are there, and nobody behind it was called."""
        with capture_tasks() as tasks, suppress(ZeroDivisionError), transaction.atomic():
            transaction.on_commit(fail)
            Item.objects.create(name="a")

        assert Item.objects.exists()
        text = failure(tasks.assert_enqueued, label)
        assert "-> committed, and not called" in text
        assert "rolled back" not in text
        assert NOT_CALLED in text

    def test_of_receivers(self, _commits: str, durable: bool) -> None:
        """The one that raised was called, those behind it were not."""
        receiver_on_commit(post_save, sender=Item, robust=False, priority=9)(fail)
        receiver_on_commit(post_save, sender=Item, priority=8)(confirm)
        with capture_tasks() as tasks, suppress(ZeroDivisionError), transaction.atomic():
            Item.objects.create(name="a")

        text = failure(tasks.assert_enqueued, label)
        scheduled = "scheduled for the commit on 'default' -> committed"
        assert f".fail: {scheduled}\n" in text
        assert f".confirm: {scheduled}, and not called" in text
        assert NOT_CALLED in text

    def test_leave_messages_of_the_outbox(self, _commits: str, durable: bool) -> None:
        """They are committed, and the relay enqueues them."""
        with capture_tasks() as tasks, suppress(ZeroDivisionError), transaction.atomic():
            transaction.on_commit(fail)
            Item.objects.create(name="a")

        assert Message.objects.exists() == durable
        if durable:
            text = failure(tasks.assert_enqueued, book)
            assert "shop.book: scheduled for the commit on 'default' -> committed, and not" in text
            assert "Its message is in the outbox, and the relay enqueues it." in text

    def test_nothing_of_it_where_all_are_called(self, _commits: str, durable: bool) -> None:
        """Durable ones by their messages."""
        with capture_tasks() as tasks, transaction.atomic():
            Item.objects.create(name="a")

        for receiver in [label, book] if durable else [label]:
            text = failure(tasks.assert_enqueued, receiver, created=False)
            assert "-> committed" in text
            assert "not called" not in text


class TestWhatComesToNothing:
    @pytest.mark.parametrize("is_durable", [True, False])
    def test_is_said(self, _commits: str, is_durable: bool) -> None:
        """Of the row that came and went, and not of the one that stayed."""
        receiver_task(
            [post_save, post_delete], sender=Item, coalesce=True, durable=is_durable, name="sync"
        )(label)
        with capture_tasks() as tasks, transaction.atomic():
            item = Item.objects.create(name="a")
            key = item.pk
            item.delete()

        text = failure(tasks.assert_enqueued, label, instance=Item(pk=key))
        assert (
            "Hint: its row was inserted and deleted in one transaction, of which coalesce=True "
            "leaves nothing." in text
        )
        assert text.count("-> committed, and coalesced to nothing") == 2

        with tasks, transaction.atomic():
            Item.objects.create(name="a").delete()
            stays = Item.objects.create(name="b")
        text = failure(tasks.assert_enqueued, label, instance=stays, created=False)
        assert text.count("-> committed, and coalesced to nothing") == 2
        assert text.count("-> committed") == 3
        assert "Hint" not in text
