"""Messages are written in the transaction of their event, and enqueued after its commit."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from signals_plus import Event, receiver_task
from signals_plus.conf import settings
from signals_plus.outbox.table import OutboxTable
from signals_plus.testing import capture_tasks, run_on_commit
from tests.outbox.conftest import Outbox, committing_tests
from tests.queues import RecordingBackend
from tests.testapp.models import Item

received: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_received() -> None:
    received.clear()


def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
    received.append(instance.name)


def handle_batch(sender: Any, events: list[Event], **kwargs: Any) -> None:
    received.append([event.instance.name for event in events])


class TestWriting:
    """In both kinds of test."""

    def test_leaves_a_message_until_the_work_is_done(
        self, outbox: Outbox, tasks: capture_tasks, database: str
    ) -> None:
        receiver_task(post_save, sender=Item, durable=True)(handle)

        with transaction.atomic():
            item = Item.objects.create(name="a")

        (message,) = outbox.messages()
        assert message.receiver == f"{__name__}.handle"
        assert message.effect
        tasks.assert_enqueued(handle, instance=item, times=1)
        assert json.loads(tasks[0].payload) == {
            "v": 2,
            "receiver": f"{__name__}.handle",
            "message": str(message.message_id),
            "using": "default",
        }
        tasks.run()
        assert received == ["a"]
        assert outbox.messages() == []

    @pytest.mark.parametrize("whole", [True, False])
    @pytest.mark.parametrize("options", [{}, {"batch": True}, {"coalesce": True}])
    def test_goes_with_what_is_rolled_back(
        self, whole: bool, options: dict[str, Any], outbox: Outbox, tasks: capture_tasks,
        database: str,
    ) -> None:  # fmt: skip
        """A transaction, or a savepoint in one that commits."""
        function = handle_batch if "batch" in options else handle
        receiver_task(post_save, sender=Item, durable=True, **options)(function)

        with transaction.atomic():
            Item.objects.create(name="kept")
            with transaction.atomic():
                Item.objects.create(name="undone")
                transaction.set_rollback(True)
            transaction.set_rollback(whole)

        assert len(outbox.messages()) == len(tasks) == (0 if whole else 1)

    def test_is_on_the_database_of_the_row(
        self, outbox: Outbox, tasks: capture_tasks, database: str
    ) -> None:
        receiver_task(post_save, sender=Item, durable=True)(handle)

        with transaction.atomic(using="other"):
            item = Item.objects.using("other").create(name="a")

        tasks.assert_enqueued(handle, instance=item, times=1)
        assert (len(outbox.messages()), len(outbox.messages("other"))) == (0, 1)
        tasks.run()
        assert received == ["a"]
        assert outbox.messages("other") == []

    def test_writes_a_batch_as_one_message(
        self, outbox: Outbox, tasks: capture_tasks, database: str
    ) -> None:
        receiver_task(post_save, sender=Item, durable=True, batch=True, batch_size=2)(handle_batch)

        with transaction.atomic():
            for name in "abc":
                Item.objects.create(name=name)

        assert len(outbox.messages()) == len(tasks) == 2
        tasks.run()
        assert received == [["a", "b"], ["c"]]
        assert outbox.messages() == []

    def test_deletes_it_once_the_queue_has_it(
        self, outbox: Outbox, tasks: capture_tasks, database: str
    ) -> None:
        """durable="publish": the payload travels whole."""
        receiver_task(post_save, sender=Item, durable="publish")(handle)

        with transaction.atomic():
            Item.objects.create(name="a")

        assert outbox.messages() == []
        tasks.run()
        assert received == ["a"]

    @pytest.mark.parametrize("durable", ["effect", "publish"])
    def test_waits_in_the_outbox_when_the_queue_is_down(
        self, durable: str, outbox: Outbox, queue: RecordingBackend, database: str
    ) -> None:
        receiver_task(post_save, sender=Item, durable=durable)(handle)
        queue.refuses = True
        with run_on_commit(), transaction.atomic():
            Item.objects.create(name="a")
        queue.refuses = False
        assert outbox.relay.run_once() == 0

        outbox.make_due()

        assert outbox.relay.run_once() == 1
        ((task, payload),) = queue.enqueued
        task.run(payload)
        assert received == ["a"]
        assert outbox.messages() == []

    @pytest.mark.parametrize("delay", [timedelta(hours=2), timedelta(days=36_500)], ids=str)
    def test_waits_for_its_time(self, outbox: Outbox, database: str, delay: timedelta) -> None:
        """run_after is the outbox's, and needs nothing of the queue."""
        receiver_task(post_save, sender=Item, durable=True, run_after=delay)(handle)

        with capture_tasks() as tasks, transaction.atomic():
            Item.objects.create(name="a")

        assert tasks.of(handle) == []
        (message,) = outbox.messages()
        wait = message.due_at - message.created_at
        assert delay <= wait < delay + timedelta(seconds=1)
        outbox.make_due()
        assert outbox.relay.run_once() == 1


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
class TestCommit:
    def test_writes_those_of_a_transaction_together(
        self, outbox: Outbox, queue: RecordingBackend, django_assert_num_queries: Any
    ) -> None:
        """One INSERT, right before the commit."""
        receiver_task(post_save, sender=Item, durable=True)(handle)

        begin_and_commit = 2
        with django_assert_num_queries(100 + 1 + begin_and_commit), transaction.atomic():
            for number in range(100):
                Item(name=str(number)).save()

        assert [len(call) for call in queue.calls] == [100]
        assert len(outbox.messages()) == 100

    def test_enqueues_many_in_portions(
        self, outbox: Outbox, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those whose time is over meanwhile are left to the relay, and what is done is deleted."""
        monkeypatch.setattr("signals_plus.outbox.outgoing.TOGETHER", 2)
        now = time.monotonic()
        left = []

        def enqueue_slowly(messages: Any) -> Any:
            nonlocal now
            left.append(len(outbox.messages()))
            now += settings.outbox_grace / 5
            return RecordingBackend.enqueue_many(queue, messages)

        monkeypatch.setattr("signals_plus.outbox.outgoing.time.monotonic", lambda: now)
        monkeypatch.setattr(queue, "enqueue_many", enqueue_slowly)
        receiver_task(post_save, sender=Item, durable="publish")(handle)

        with transaction.atomic():
            for number in range(9):
                Item.objects.create(name=str(number))

        assert left == [9, 7, 5]
        assert len(queue.enqueued) == 6
        assert len(outbox.messages()) == 3

    def test_rolls_back_when_it_cannot_write(
        self, outbox: Outbox, tasks: capture_tasks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Durable means durable: without the message there is no event."""
        receiver_task(post_save, sender=Item, durable=True)(handle)
        monkeypatch.setattr("signals_plus.outbox.table.TABLE", "no_such_table")

        with pytest.raises(DatabaseError), transaction.atomic():
            Item.objects.create(name="a")

        assert not Item.objects.exists()
        tasks.assert_nothing_enqueued()

    def test_rolls_back_for_any_error_before_the_commit(
        self, outbox: Outbox, tasks: capture_tasks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not only for those of the database, for which Django does."""

        def fail() -> str:
            raise ZeroDivisionError

        receiver_task(post_save, sender=Item, durable=True)(handle)
        monkeypatch.setattr("signals_plus.outbox.traces.current", fail)

        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Item.objects.create(name="a")

        assert not Item.objects.exists()
        assert connection.get_autocommit()


@committing_tests
@pytest.mark.skipif(connection.vendor != "postgresql", reason="others have no such setting")
class TestDeleting:
    """What a queue has may come back after a crash of the server: it is told once more."""

    @pytest.mark.parametrize("durable", ["effect", "publish"])
    def test_waits_for_the_disk_if_the_work_was_done(
        self, durable: str, outbox: Outbox, queue: RecordingBackend
    ) -> None:
        receiver_task(post_save, sender=Item, durable=durable)(handle)

        with connection.cursor() as cursor, CaptureQueriesContext(connection) as queries:
            cursor.execute("SET synchronous_commit TO local")
            with transaction.atomic():
                Item.objects.create(name="a")
            for task, payload in queue.enqueued:
                task.run(payload)
            cursor.execute("SHOW synchronous_commit")
            is_left = cursor.fetchone() == ("local",)
            cursor.execute("RESET synchronous_commit")

        assert is_left
        (deleting,) = [each["sql"] for each in queries if each["sql"].startswith("DELETE")]
        assert ("synchronous_commit" in deleting.lower()) == (durable == "publish")

    def test_waits_for_it_within_a_transaction(self, outbox: Outbox) -> None:
        """That is about more than the message."""
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            OutboxTable("default").delete([uuid4()], may_return=True)

        assert "synchronous_commit" not in queries[0]["sql"].lower()
