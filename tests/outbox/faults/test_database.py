"""The database refuses, hangs, cuts the connection or has another time than the host."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django.utils.timezone
import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.conf import settings as own_settings
from signals_plus.outbox.models import Message
from signals_plus.outbox.moments import Age, Moment
from signals_plus.outbox.relay import Relay
from signals_plus.outbox.states import TABLE
from signals_plus.outbox.table import OutboxTable
from tests.outbox.conftest import committing_tests
from tests.outbox.faults.conftest import Project
from tests.services import eventually
from tests.testapp.models import Item, Tag, UuidItem

pytestmark = committing_tests

of_servers = pytest.mark.skipif(connection.vendor == "sqlite", reason="a file has no connections")
of_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own")

# What ends a connection from the server's side, as its restart or a failover does.
OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
END = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}
READ_ONLY = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


def execute(sql: str, *parameters: int) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone() if cursor.description else None


def cut(key: int | None = None) -> None:
    """End a connection: that of this thread, if no other is named."""
    if key is None:
        (key,) = execute(OWN_ID[connection.vendor])
    work = threading.Thread(target=_cut, args=(key,))
    work.start()
    work.join()


def _cut(key: int) -> None:
    try:
        execute(END[connection.vendor], key)
    finally:
        connections["default"].close()


def in_threads(*work: Callable[[], object]) -> list[Exception]:
    """Do all of it side by side; return what was raised."""
    errors: list[Exception] = []

    def run(one: Callable[[], object]) -> None:
        try:
            one()
        except Exception as error:
            errors.append(error)
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=run, args=(each,)) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


class TestProducer:
    @of_servers
    @pytest.mark.parametrize("then", [["b"], []], ids=["in its midst", "before it commits"])
    def test_whose_connection_is_cut_has_written_nothing(
        self, then: list[str], project: Project
    ) -> None:
        """The message is written last. It has no connection to be written over."""

        @transaction.atomic
        def save() -> None:
            Tag.objects.create(name="a")
            cut()
            for name in then:
                Tag.objects.create(name=name)

        with pytest.raises(DatabaseError):
            save()

        assert project.committed() == []
        assert not Message.objects.exists()
        assert project.queue.lines == []

    def test_that_cannot_write_the_message_saves_nothing(self, project: Project) -> None:
        """Durable means durable: no row without its message."""
        execute(f"ALTER TABLE {TABLE} RENAME TO {TABLE}_away")
        try:
            with pytest.raises(DatabaseError), transaction.atomic():
                Tag.objects.create(name="a")
        finally:
            execute(f"ALTER TABLE {TABLE}_away RENAME TO {TABLE}")

        assert project.committed() == []
        assert project.queue.lines == []

    def test_on_a_database_that_only_reads_saves_nothing(self, project: Project) -> None:
        """A failover has left it with what was its primary."""
        with _read_only(), pytest.raises(DatabaseError), transaction.atomic():
            Tag.objects.create(name="a")

        assert project.committed() == []
        assert project.queue.lines == []

    def test_in_a_long_transaction_writes_its_message_last(self, project: Project) -> None:
        """However long it takes, the grace begins when it is about to end."""
        with transaction.atomic():
            Tag.objects.create(name="a")
            assert not Message.objects.exists()

        assert Message.objects.count() == 1
        assert len(project.queue.lines) == 1

    def test_that_is_late_to_enqueue_leaves_it_to_the_relay(
        self, project: Project, settings: Any
    ) -> None:
        """What runs after the commit before it takes its time: the relay may have it by then."""
        settings.SIGNALS_PLUS_OUTBOX_GRACE = 0.02
        with transaction.atomic():
            transaction.on_commit(lambda: time.sleep(0.03))
            Tag.objects.create(name="a")

        assert project.queue.lines == []
        project.settle()
        assert project.effects() == ["a"]


class TestWorker:
    @of_servers
    def test_whose_connection_is_cut_starts_again(self, project: Project) -> None:
        """Its transaction is undone by the server, and the failure is written over a new one."""
        cuts = iter([cut])

        @receiver_task(post_save, sender=UuidItem, durable=True, name="chaos.unlucky")
        def unlucky(sender: Any, instance: UuidItem, **kwargs: Any) -> None:
            Item.objects.create(name=instance.name)
            for each in cuts:
                each()
            Item.objects.update(name=instance.name)

        UuidItem.objects.create(name="a")
        line = next(each for each in project.queue.take() if "unlucky" in each)
        with pytest.raises(DatabaseError):
            project.do(line)

        assert project.effects() == []
        message = Message.objects.get(receiver="chaos.unlucky")
        assert message.attempts == 1
        project.settle()
        assert project.effects() == ["a"]

    @of_servers
    def test_whose_connection_is_cut_after_the_commit_has_done_it(self, project: Project) -> None:
        """By what its receiver left to ``on_commit``; the next one gets its turn all the same."""

        @receiver_task(
            post_save, sender=UuidItem, durable=True, name="chaos.ordered",
            ordering_key=lambda **kwargs: "key",
        )  # fmt: skip
        def ordered(sender: Any, instance: UuidItem, **kwargs: Any) -> None:
            transaction.on_commit(cut)

        with transaction.atomic():
            UuidItem.objects.create(name="a")
            UuidItem.objects.create(name="b")
        (line,) = [each for each in project.queue.take() if "ordered" in each]

        project.do(line)

        assert Message.objects.filter(receiver="chaos.ordered").count() == 1
        assert len([each for each in project.queue.take() if "ordered" in each]) == 1

    @of_servers
    def test_that_works_outside_of_a_transaction_is_done_though_its_connection_was_cut(
        self, project: Project
    ) -> None:
        """It was idle for as long as the work took: nothing is done twice for that."""
        runs = []

        @receiver_task(post_save, sender=Item, durable=True, atomic=False, name="chaos.long")
        def long(sender: Any, instance: Item, **kwargs: Any) -> None:
            runs.append(instance.name)
            cut()

        Item.objects.create(name="a")
        (line,) = project.queue.take()
        project.do(line)

        assert runs == ["a"]
        assert not Message.objects.exists()

    @of_servers
    def test_that_works_outside_of_a_transaction_goes_on_holding_its_message(
        self, project: Project, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The connection that holds it is cut too; until the next time, nobody is given it."""
        settings.SIGNALS_PLUS_OUTBOX_GRACE = 1
        hold_on = OutboxTable.hold_on
        held: list[float] = []

        def hold_on_over_one_that_is_cut(self: OutboxTable, *args: Any, **kwargs: Any) -> None:
            if not held:
                held.append(0)
                cut()
            hold_on(self, *args, **kwargs)
            held.append(time.monotonic())

        @receiver_task(post_save, sender=Item, durable=True, atomic=False, name="chaos.long")
        def long(sender: Any, instance: Item, **kwargs: Any) -> None:
            eventually(lambda: len(held) >= 3)

        monkeypatch.setattr(OutboxTable, "hold_on", hold_on_over_one_that_is_cut)
        Item.objects.create(name="a")
        (line,) = project.queue.take()
        project.do(line)

        assert len(held) >= 3
        assert not Message.objects.exists()

    @of_servers
    def test_that_is_in_a_deadlock_starts_again(self, project: Project) -> None:
        """Two of them lock the same rows in opposite orders. One gives way, both are done."""
        first, second = Item.objects.create(name="1"), Item.objects.create(name="2")
        order = {"a": [first.pk, second.pk], "b": [second.pk, first.pk]}
        both_have_one = threading.Barrier(2)
        meetings: list[str] = []

        @receiver_task(post_save, sender=UuidItem, durable=True, name="chaos.crossed")
        def crossed(sender: Any, instance: UuidItem, **kwargs: Any) -> None:
            one, other = order[instance.name]
            Item.objects.filter(pk=one).update(name="changed")
            if len(meetings) < 2:
                meetings.append(instance.name)
                both_have_one.wait(30)
            Item.objects.filter(pk=other).update(name="changed")
            Item.objects.create(name=f"done {instance.name}")

        with transaction.atomic():
            UuidItem.objects.create(name="a")
            UuidItem.objects.create(name="b")
        lines = [each for each in project.queue.take() if "crossed" in each]
        errors = in_threads(*(lambda line=line: project.do(line) for line in lines))

        (error,) = errors
        assert "deadlock" in str(error).lower()
        (message,) = Message.objects.filter(receiver="chaos.crossed")
        assert message.attempts == 1
        project.settle()
        assert project.effects() == ["changed", "changed", "done a", "done b"]

    @of_postgresql
    def test_whose_statement_takes_too_long_starts_again(self, project: Project) -> None:
        too_long = iter([1])

        @receiver_task(post_save, sender=UuidItem, durable=True, name="chaos.slow")
        def slow(sender: Any, instance: UuidItem, **kwargs: Any) -> None:
            Item.objects.create(name=instance.name)
            for seconds in too_long:
                execute("SET LOCAL statement_timeout = '20ms'")
                execute("SELECT pg_sleep(%s)", seconds)

        UuidItem.objects.create(name="a")
        line = next(each for each in project.queue.take() if "slow" in each)
        with pytest.raises(OperationalError, match="statement timeout"):
            project.do(line)

        assert Message.objects.get(receiver="chaos.slow").attempts == 1
        project.settle()
        assert project.effects() == ["a"]

    def test_on_a_database_that_only_reads_loses_nothing(self, project: Project) -> None:
        project.produce("a")
        (line,) = project.queue.take()

        with _read_only(), pytest.raises(DatabaseError):
            project.do(line)

        assert project.effects() == []
        assert project.pending() == 1
        project.settle()
        assert project.effects() == ["a"]

    def test_whose_row_is_gone_is_done(self, project: Project) -> None:
        """Deleted by somebody since: ``on_missing="skip"`` says so in the log."""
        project.produce("a")
        Tag.objects.all().delete()

        assert project.work() == 0

        assert not Message.objects.exists()
        assert project.effects() == []


class TestRelay:
    def test_on_a_database_that_only_reads_goes_on_afterwards(self, project: Project) -> None:
        """It drops the connection, and looks again soon: the next one is to the new primary."""
        project.produce("a")
        project.queue.forget()
        project.make_due()
        now = [0.0]
        relay = Relay(["default"], clock=lambda: now[0])

        with _read_only():
            assert relay.run_once() == 0
        assert relay.unusable == ["Database 'default'"]
        now[0] += 10
        assert relay.run_once() == 1

        assert relay.unusable == []
        assert project.work() == 0
        assert project.effects() == ["a"]

    @of_servers
    @pytest.mark.parametrize("point", ["claim", "sent", "delete", "release", "fail"])
    def test_whose_connection_is_cut_does_nothing_twice(
        self, point: str, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before each of its statements."""
        project.produce("a", "b")
        project.produce("c", model="UuidItem")
        project.queue.forget()
        project.produce("d", model="UuidItem")
        project.make_due()
        original = getattr(OutboxTable, point)
        cuts = iter([cut])

        def over_one_that_is_cut(self: OutboxTable, *args: Any, **kwargs: Any) -> Any:
            for each in cuts:
                each()
            return original(self, *args, **kwargs)

        monkeypatch.setattr(OutboxTable, point, over_one_that_is_cut)
        if point == "release":
            project.break_queue()
        Relay(["default"]).run_once()
        monkeypatch.undo()
        if point == "release":
            project.mend_queue()

        project.settle()
        assert project.effects() == ["a", "b"]
        assert not Message.objects.exists()

    @of_postgresql
    def test_is_not_held_up_by_an_old_snapshot(self, project: Project) -> None:
        """A report, a dump: what it still sees is dead to all others, and claimed by nobody."""
        names = [f"{number:03}" for number in range(200)]
        has_begun, may_end = threading.Event(), threading.Event()

        def report() -> None:
            with transaction.atomic():
                execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                Message.objects.count()
                has_begun.set()
                may_end.wait(60)

        thread = threading.Thread(target=lambda: in_threads(report))
        thread.start()
        try:
            assert has_begun.wait(30)
            for some in (names[:100], names[100:]):
                project.produce(*some)
                project.queue.forget()
                project.settle()
        finally:
            may_end.set()
            thread.join()

        assert project.effects() == names
        assert project.ledger.lines() == [f"copy {name}" for name in names]


class TestClock:
    """The clock of the host may say what it likes: the database's own counts."""

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_of_a_host_decides_nothing(
        self, hours: int, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with _clocks_ahead(monkeypatch, hours):
            with transaction.atomic():
                Tag.objects.create(name="a")
            message = Message.objects.get()
            project.queue.forget()
            assert Relay(["default"]).run_once() == 0  # its grace is not over
            project.make_due()
            assert Relay(["default"]).run_once() == 1
            assert Relay(["default"]).run_once() == 0  # nor is the claim's
            (age,) = Message.objects.values_list(Age(), flat=True)
            is_put_off = Message.objects.filter(
                due_at__gt=Moment(own_settings.outbox_grace - 15)
            ).exists()
            for line in project.queue.take():
                project.do(line)

        grace = (message.due_at - message.created_at).total_seconds()
        assert grace == pytest.approx(own_settings.outbox_grace, abs=0.01)
        assert 0 <= age < 60
        assert is_put_off
        assert project.effects() == ["a"]


@contextmanager
def _read_only() -> Iterator[None]:
    """Let the connection of this thread only read, until it is closed."""
    execute(READ_ONLY[connection.vendor])
    try:
        yield
    finally:
        connection.close()


@contextmanager
def _clocks_ahead(monkeypatch: pytest.MonkeyPatch, hours: int) -> Iterator[None]:
    """Let this process be so many hours ahead of the database."""
    real_time, real_now = time.time, django.utils.timezone.now
    ahead = datetime.timedelta(hours=hours)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real_time() + ahead.total_seconds())
        patch.setattr(django.utils.timezone, "now", lambda: real_now() + ahead)
        yield
