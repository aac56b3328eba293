"""Messages with one key run one at a time, whatever commits when."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections, transaction
from django.db.models import F
from django.db.models.signals import post_delete, post_save

from signals_plus import receiver_task
from signals_plus.exceptions import PayloadError
from signals_plus.outbox import retention
from signals_plus.outbox.models import Message
from signals_plus.outbox.moments import Moment
from signals_plus.outbox.order import Order
from signals_plus.outbox.rows import NewMessage
from signals_plus.outbox.table import OutboxTable
from signals_plus.outbox.working import Work
from tests.outbox.conftest import Outbox, committing_tests
from tests.outbox.test_commands import NAME, dead, write
from tests.queues import RecordingBackend
from tests.testapp.models import Item, Tag

pytestmark = committing_tests


def handle(sender: Any, **kwargs: Any) -> None:
    """Be a receiver whose messages are in order."""


class Labour:
    """What the receiver has been called for; it ends when it is let."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.is_at_it = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, sender: Any, instance: Item, **kwargs: Any) -> None:
        self.begun.append(instance.name)
        self.is_at_it.set()
        assert self.may_end.wait(20)


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    """A thread, and with it a connection, of its own."""
    with ThreadPoolExecutor(1) as pool:
        yield pool
        pool.submit(connections.close_all).result(20)


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("is_second_delivery", [False, True])
def test_the_older_of_two_that_commit_at_a_time_waits(
    atomic: bool,
    is_second_delivery: bool,
    outbox: Outbox,
    queue: RecordingBackend,
    worker: ThreadPoolExecutor,
) -> None:
    """It is written first and committed last: the younger one is at work by then."""
    if connection.vendor == "sqlite":
        pytest.skip("one transaction at a time writes")
    work = Labour()

    def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
        work(sender, instance)

    receiver_task(
        post_save, sender=Item, durable=True, atomic=atomic, name="shop.a",
        ordering_key=lambda **kwargs: "key",
    )(handle)  # fmt: skip
    transaction.set_autocommit(False)
    with transaction.atomic():
        Item.objects.create(name="older")

    def save_younger() -> None:
        with transaction.atomic():
            Item.objects.create(name="younger")

    worker.submit(save_younger).result(20)
    ((task, younger),) = queue.enqueued
    if is_second_delivery:
        worker.submit(outbox.make_due).result(20)
        worker.submit(outbox.relay.run_once).result(20)
        del queue.enqueued[1:]
    running = worker.submit(task.run, younger)
    assert work.is_at_it.wait(20)
    transaction.commit()
    transaction.set_autocommit(True)
    _, older = queue.enqueued.pop()
    assert older != younger

    task.run(older)

    assert work.begun == ["younger"]
    work.may_end.set()
    running.result(20)
    assert queue.enqueued[-1][1] == older
    task.run(older)
    assert work.begun == ["younger", "older"]
    assert outbox.messages() == []


@pytest.mark.skipif(connection.vendor == "sqlite", reason="one transaction at a time writes")
def test_one_that_commits_while_another_asks_for_its_turn_is_seen(
    outbox: Outbox,
    queue: RecordingBackend,
    worker: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where what a transaction has read stays as it was, too: MySQL's default."""
    begun: list[str] = []
    receiver_task(
        post_save, sender=Item, durable=True, atomic=False, name="shop.a",
        ordering_key=lambda **kwargs: "key",
    )(lambda instance, **kwargs: begun.append(instance.name))  # fmt: skip

    def write_older() -> None:
        transaction.set_autocommit(False)
        with transaction.atomic():
            Item.objects.create(name="older")

    def commit_and_hold() -> None:
        older = Message.objects.order_by("id")[0]
        Message.objects.filter(pk=older.pk).update(claimed_by="run:1", due_at=Moment(60))
        transaction.commit()
        transaction.set_autocommit(True)

    worker.submit(write_older).result(20)
    with transaction.atomic():
        Item.objects.create(name="younger")
    ((task, younger),) = queue.enqueued
    take_turn = type(Order(OutboxTable("default")).dialect).take_turn

    def take_turn_late(*arguments: Any, **options: Any) -> bool:
        worker.submit(commit_and_hold).result(20)
        return take_turn(*arguments, **options)

    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    monkeypatch.setattr(f"{take_turn.__module__}.{take_turn.__qualname__}", take_turn_late)
    try:
        task.run(younger)
    finally:
        connection.close()

    assert begun == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("a", "A"), ("a", "\xe4"), ("shop.a", "shop.A")],
    ids=["case", "accent", "name"],
)
def test_what_differs_a_little_is_not_the_same(
    first: str, second: str, outbox: Outbox, queue: RecordingBackend
) -> None:
    """Whatever a database holds to be equal by itself."""
    names = (first, second) if "." in first else ("shop.a", "shop.a")
    keys = ("key", "key") if "." in first else (first, second)
    table = OutboxTable("default")
    new = [
        NewMessage(uuid4(), name, "{}", "", True, key, 0)
        for name, key in zip(names, keys, strict=True)
    ]
    table.insert(new)

    assert Order(table).in_turn([each.message_id for each in new]) == {
        each.message_id for each in new
    }
    for each in new:
        assert Order(table).following(each.receiver, each.ordering_key or "") == each.message_id


@pytest.mark.parametrize("atomic", [True, False])
def test_the_next_one_has_its_grace_from_its_turn_on(
    atomic: bool,
    outbox: Outbox,
    queue: RecordingBackend,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long it has waited: the queue may lose it, or the worker of the first be killed."""
    settings.SIGNALS_PLUS_OUTBOX_GRACE = 30
    receiver_task(
        post_save, sender=Item, durable=True, atomic=atomic, name="shop.a",
        ordering_key=lambda **kwargs: "key",
    )(handle)  # fmt: skip
    with transaction.atomic():
        Item.objects.create(name="a")
        Item.objects.create(name="b")
    ((task, payload),) = queue.enqueued
    waiting = Message.objects.last()
    assert waiting is not None
    Message.objects.filter(pk=waiting.pk).update(due_at=Moment(600), due_since=Moment(-600))

    monkeypatch.setattr(Work, "_enqueue_next", lambda work, message: None)  # it ends at once
    task.run(payload)

    due = Message.objects.filter(due_at__lte=Moment(30), due_at__gt=Moment(20))
    assert due.get() == waiting
    assert due.filter(due_since=F("due_at")).exists(), "or it is put off for all the time before"


def test_a_queue_that_runs_them_at_once_runs_one_after_the_other(
    outbox: Outbox, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery's ``task_always_eager``, for instance: not each within the one before."""
    depths: list[int] = []

    def run_at_once(messages: Any) -> list[Any]:
        for task, payload in messages:
            task.run(payload)
        return []

    def note_depth(sender: Any, **kwargs: Any) -> None:
        depths.append(len(inspect.stack(0)))

    monkeypatch.setattr(queue, "enqueue_many", run_at_once)
    receiver_task(
        post_save, sender=Item, durable=True, name="shop.a", ordering_key=lambda **kwargs: "key"
    )(note_depth)

    with transaction.atomic():
        for number in range(20):
            Item.objects.create(name=str(number))

    assert len(depths) == 20
    assert len(set(depths[2:])) == 1
    assert outbox.messages() == []


@pytest.mark.parametrize("key", ["a\0b", "caf\udce9", "", None, "k" * 256])
def test_a_key_that_no_database_takes_is_refused(key: str | None, queue: RecordingBackend) -> None:
    """While the transaction can still be rolled back."""

    @receiver_task(
        post_save, sender=Item, durable=True, name="shop.a", ordering_key=lambda **kwargs: key
    )
    def handle(sender: Any, **kwargs: Any) -> None:
        """Never get so far."""

    with pytest.raises(PayloadError, match="ordering_key is"), transaction.atomic():
        Item.objects.create(name="a")

    assert not Item.objects.exists()


class TestDeadMessage:
    """One that keeps others back."""

    @pytest.fixture(autouse=True)
    def _receivers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("signals_plus.outbox.relay.BATCH", 2)
        receiver_task(
            post_save, sender=Item, durable=True, name=NAME, ordering_key=lambda **kwargs: "key"
        )(handle)
        receiver_task(post_save, sender=Tag, durable=True, name="shop.other")(handle)

    def due(self) -> list[UUID]:
        due = Message.objects.filter(status=Message.Status.PENDING, due_at__lte=Moment())
        return [*due.values_list("message_id", flat=True)]

    def test_keeps_the_relay_busy_with_those_behind_it_once(
        self, outbox: Outbox, queue: RecordingBackend
    ) -> None:
        """They are put off, uncounted, and what is behind them in time goes on."""
        dead(ordering_key="key")
        behind = [write(ordering_key="key") for _ in range(5)]
        write(receiver="shop.other")

        outbox.relay.drain()

        assert [task.name for task, _ in queue.enqueued] == ["shop.other"]
        assert self.due() == []
        for message in behind:
            message.refresh_from_db()
            assert (message.attempts, message.claimed_by) == (0, "")

    @pytest.mark.parametrize("is_held", [False, True])
    @pytest.mark.parametrize("end", ["discard", "prune"])
    def test_that_is_gone_lets_the_next_one_go(
        self, end: str, is_held: bool, outbox: Outbox, queue: RecordingBackend
    ) -> None:
        """But not one that a worker is at."""
        first = dead(ordering_key="key", days=9)
        following, last = write(ordering_key="key"), write(ordering_key="key")
        outbox.relay.drain()
        assert self.due() == []
        if is_held:
            Message.objects.filter(pk=following.pk).update(claimed_by="run:1")

        if end == "discard":
            retention.discard(Message.objects.filter(pk=first.pk))
        else:
            retention.prune("default", 7)

        assert self.due() == ([] if is_held else [following.message_id])
        assert last.message_id not in self.due()

    def test_that_keeps_nobody_back_lets_the_next_one_go(
        self, outbox: Outbox, queue: RecordingBackend, settings: Any
    ) -> None:
        """``on_dead="skip"``, given up by the relay."""
        receiver_task(
            post_delete, sender=Tag, durable=True, name="shop.skip", on_dead="skip",
            ordering_key=lambda **kwargs: "key",
        )(handle)  # fmt: skip
        settings.SIGNALS_PLUS_OUTBOX_MAX_ATTEMPTS = 2
        write(receiver="shop.skip", ordering_key="key", attempts=2)
        following = write(receiver="shop.skip", ordering_key="key")

        outbox.relay.drain()

        assert Message.objects.filter(status=Message.Status.DEAD).count() == 1
        assert [json.loads(payload)["message"] for _, payload in queue.enqueued] == [
            str(following.message_id)
        ]
