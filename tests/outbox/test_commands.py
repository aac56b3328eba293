"""prune_outbox, requeue_outbox, outbox_stats and relay_outbox --once."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.db.models import F
from django.db.models.signals import post_save, pre_delete
from django.test.utils import CaptureQueriesContext

from signals_plus import receiver_task
from signals_plus.outbox import retention
from signals_plus.outbox.models import Message
from signals_plus.outbox.rows import NewMessage
from signals_plus.outbox.states import TABLE
from signals_plus.outbox.table import OutboxTable
from signals_plus.testing import capture_tasks, isolated_receivers
from tests.outbox.conftest import Outbox
from tests.queues import RecordingBackend
from tests.testapp.models import Item

both = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def handle(sender: Any, **kwargs: Any) -> None:
    """Be a receiver."""


def handle_late(sender: Any, **kwargs: Any) -> None:
    """Be another."""


NAME = f"{__name__}.handle"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def write(using: str = "default", *, receiver: str = NAME, **fields: Any) -> Message:
    """Write a message, which is due."""
    new = NewMessage(uuid4(), receiver, "{}", "", True, None, 0)
    OutboxTable(using).insert([new])
    messages = Message.objects.using(using).filter(message_id=new.message_id)
    if fields:
        messages.update(**fields)
    return messages.get()


def dead(using: str = "default", *, days: float = 0, **fields: Any) -> Message:
    """Write a dead message."""
    message = write(using, status=Message.Status.DEAD, attempts=12, **fields)
    message.dead_at = message.created_at - timedelta(days=days)
    message.save()
    return message


@pytest.fixture
def no_table() -> Iterator[None]:
    """Take the table of the outbox away from both databases."""
    for alias in ("default", "other"):
        with connections[alias].cursor() as cursor:
            cursor.execute(f"ALTER TABLE {TABLE} RENAME TO {TABLE}_away")
    yield
    for alias in ("default", "other"):
        with connections[alias].cursor() as cursor:
            cursor.execute(f"ALTER TABLE {TABLE}_away RENAME TO {TABLE}")


class OneDatabase:
    """A router that keeps the outbox on one database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == "default" if app_label == "signals_plus_outbox" else None


class NoDatabase:
    """A router that keeps it nowhere."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if app_label == "signals_plus_outbox" else None


@pytest.mark.parametrize(
    "command",
    [
        ("relay_outbox", "--once"),
        ("prune_outbox", "--days=1"),
        ("requeue_outbox", "--all"),
        ("outbox_stats",),
    ],
    ids=lambda command: command[0],
)
@both
class TestDatabases:
    """Which databases a command works on."""

    def test_that_has_no_table(
        self, command: tuple[str, ...], no_table: None, outbox: Outbox
    ) -> None:
        with pytest.raises(CommandError, match=r"No database has the table.*manage\.py migrate"):
            run(*command)
        with pytest.raises(CommandError, match=r"'other' has no table.*--database other\."):
            run(*command, "--database", "other")

    def test_that_does_not_exist(self, command: tuple[str, ...], outbox: Outbox) -> None:
        with pytest.raises(
            CommandError, match=r"no database 'nope'\. DATABASES has default, other"
        ):
            run(*command, "--database", "nope")

    def test_that_a_router_leaves_out(
        self, command: tuple[str, ...], outbox: Outbox, settings: Any
    ) -> None:
        settings.DATABASE_ROUTERS = [f"{__name__}.OneDatabase"]
        assert "other" not in run(*command)

        settings.DATABASE_ROUTERS = [f"{__name__}.NoDatabase"]
        with pytest.raises(CommandError, match="No database of DATABASES may have an outbox"):
            run(*command)

    def test_are_all_that_have_one(self, command: tuple[str, ...], outbox: Outbox) -> None:
        said = run(*command)
        assert "default" in said
        assert "other" in said
        assert "default" not in run(*command, "--database", "other", "--database", "other")


@both
class TestPruneOutbox:
    def test_deletes_those_that_have_been_dead_for_so_long(self, outbox: Outbox) -> None:
        """Of all databases, and no other ones."""
        fresh = dead(days=6.9)
        pending = write(created_at=fresh.created_at - timedelta(days=99), attempts=11)
        for alias in ("default", "other"):
            dead(alias, days=7.1)

        assert "would be deleted" in run("prune_outbox", "--days=7", "--dry-run")
        assert len(outbox.messages()) == 3
        assert run("prune_outbox", "--days", "7") == (
            "default: 1 message deleted.\nother: 1 message deleted.\n"
        )

        assert outbox.messages() == [fresh, pending]
        assert outbox.messages("other") == []

    def test_deletes_few_with_one_statement(
        self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "TOGETHER", 2)
        for _ in range(5):
            dead(days=2)

        with CaptureQueriesContext(connection) as queries:
            assert retention.prune("default", 1) == 5

        assert sum(each["sql"].startswith("DELETE") for each in queries) == 3

    @pytest.mark.skipif(connection.vendor == "sqlite", reason="one transaction at a time writes")
    def test_leaves_none_to_be_requeued_meanwhile(self, outbox: Outbox, in_thread: Any) -> None:
        """An audit log lets Django read rows before it deletes them by their keys."""
        dead(days=2)
        requeued: list[Message] = []

        def audit(sender: Any, **kwargs: Any) -> None:
            requeued.extend(in_thread(lambda: retention.requeue(Message.objects.all())))

        with isolated_receivers():
            pre_delete.connect(audit)
            assert retention.prune("default", 1) == 1

        assert requeued == []
        assert outbox.messages() == []

    def test_needs_an_age(self) -> None:
        with pytest.raises(CommandError, match="required: --days"):
            run("prune_outbox")
        with pytest.raises(CommandError, match="'-1' is no whole number from 0 on"):
            run("prune_outbox", "--days=-1")
        with pytest.raises(CommandError, match="36501 days are more than 36500"):
            run("prune_outbox", "--days=36501")


@both
class TestRequeueOutbox:
    def test_gives_dead_and_failing_ones_all_their_attempts(
        self, outbox: Outbox, tasks: capture_tasks
    ) -> None:
        """The relay enqueues them at once; one that has not failed yet, when it is due."""
        receiver_task(post_save, sender=Item, durable=True)(handle)
        later = F("due_at") + timedelta(hours=1)
        messages = [
            dead(due_at=later, last_error="ValueError: 7"),
            write(due_at=later, attempts=3, claimed_by="relay"),
        ]
        waiting = write(due_at=later)

        assert run("requeue_outbox", "--all").startswith("default: 2 messages requeued.\nother: 0")

        for message in messages:
            message.refresh_from_db()
            assert message.status == Message.Status.PENDING
            assert (message.attempts, message.claimed_by, message.dead_at) == (0, "", None)
        assert messages[0].last_error == "ValueError: 7"
        assert outbox.relay.run_once() == 2
        assert {json.loads(task.payload)["message"] for task in tasks} == {
            str(message.message_id) for message in messages
        }
        waiting.refresh_from_db()
        assert waiting.due_at > waiting.created_at

    def test_by_receiver_or_by_id(self, outbox: Outbox) -> None:
        one, two, other = dead(), dead(receiver="b"), dead("other")

        assert "default: 1 " in run("requeue_outbox", "--receiver", "b")
        ids = [str(one.message_id), str(other.message_id), str(uuid4())]
        assert run("requeue_outbox", "--id", *ids) == (
            "default: 1 message requeued.\nother: 1 message requeued.\n"
        )

        assert {each.status for each in (*outbox.messages(), *outbox.messages("other"))} == {0}
        assert {one.pk, two.pk} == {each.pk for each in outbox.messages()}

    @pytest.mark.parametrize("arguments", [(), ("--all", "--receiver=b"), ("--id", "7"), ("--id",)])
    def test_needs_a_choice(self, arguments: tuple[str, ...]) -> None:
        with pytest.raises(CommandError):
            run("requeue_outbox", *arguments)

    def test_leaves_alone_what_a_worker_is_at(self, outbox: Outbox) -> None:
        """Outside of a transaction, whose claim is in the row."""
        at_it = write(attempts=1, claimed_by="run:1", due_at=F("due_at") + timedelta(hours=1))
        killed = write(attempts=1, claimed_by="run:2")

        assert retention.requeue(Message.objects.using("default")) == [killed]
        assert retention.discard(Message.objects.using("default")) == [killed]
        assert outbox.messages() == [at_it]

    def test_does_not_wait_for_a_worker(self, outbox: Outbox, in_thread: Any) -> None:
        """Inside of a transaction, which has the row locked. SQLite locks all or nothing."""
        locked, free = write(attempts=1), write(attempts=1)
        if not connection.features.has_select_for_update_skip_locked:
            assert len(retention.requeue(Message.objects.using("default"))) == 2
            return

        with transaction.atomic():
            assert OutboxTable("default").lock(locked.message_id)
            assert in_thread(lambda: retention.requeue(Message.objects.using("default"))) == [free]


@both
class TestOutboxStats:
    @pytest.fixture(autouse=True)
    def _receivers(self, outbox: Outbox) -> None:
        receiver_task(post_save, sender=Item, durable=True)(handle)
        delay = timedelta(minutes=10)
        receiver_task(post_save, sender=Item, durable=True, name="late", run_after=delay)(
            handle_late
        )

    def test_counts_and_measures(self) -> None:
        """By the database's clock; the time that a receiver asked for is not waiting."""
        hour = F("created_at") - timedelta(hours=1)
        write(created_at=hour, attempts=3)
        write(receiver="late", created_at=hour)
        write(receiver="late")
        dead(created_at=F("created_at") - timedelta(days=1))
        dead(receiver="gone")

        figures = json.loads(run("outbox_stats", "--format=json", "--database=default"))

        assert figures["problems"] == []
        default = figures["databases"]["default"]
        assert default["oldest"] == pytest.approx(3600, abs=60)
        assert default["receivers"]["late"]["oldest"] == pytest.approx(3000, abs=60)
        del default["receivers"]
        del default["oldest"]
        assert default == {
            "depth": 3, "failing": 1, "dead": 2, "attempts": 3, "unknown": {"gone": 1}
        }  # fmt: skip

    def test_in_words(self) -> None:
        write(attempts=2)
        dead("other", receiver="gone")

        assert run("outbox_stats") == (
            "default: 1 not done, oldest 0 s, 1 failing (at most 2 attempts), 0 dead\n"
            f"  {NAME}: 1 not done, oldest 0 s, 1 failing (at most 2 attempts), 0 dead\n"
            "other: 0 not done, oldest 0 s, 0 failing (at most 0 attempts), 1 dead\n"
            "  gone (no such receiver in this process): 0 not done, oldest 0 s, 0 failing "
            "(at most 0 attempts), 1 dead\n"
        )

    @pytest.mark.parametrize(
        ("limit", "problem"),
        [
            ("--max-age=59", "other: the oldest message waits for 3600 s, the limit is 59"),
            ("--max-depth=0", "other: 1 messages are not done, the limit is 0"),
            ("--max-dead=0", "other: 1 messages are dead, the limit is 0"),
        ],
    )
    def test_fails_beyond_a_limit(self, limit: str, problem: str) -> None:
        """And not at it."""
        write("other", created_at=F("created_at") - timedelta(hours=1))
        dead("other")
        assert run("outbox_stats", "--max-age=4000", "--max-depth=1", "--max-dead=1")
        out = io.StringIO()

        with pytest.raises(CommandError) as caught:
            call_command("outbox_stats", limit, "--format=json", stdout=out)

        assert str(caught.value) == problem
        assert caught.value.returncode == 1
        assert json.loads(out.getvalue())["problems"] == [problem]


@both
class TestRelayOutboxOnce:
    @pytest.fixture(autouse=True)
    def _receiver(self, outbox: Outbox) -> None:
        receiver_task(post_save, sender=Item, durable=True)(handle)

    def test_works_off_all_that_is_due(
        self, tasks: capture_tasks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """More than one batch; what nobody knows does not end it early."""
        monkeypatch.setattr("signals_plus.outbox.relay.BATCH", 2)
        for _ in range(3):
            write(receiver="gone")
        for _ in range(5):
            write()
        write("other")
        later = write(due_at=F("due_at") + timedelta(hours=1))

        said = run("relay_outbox", "--once")

        assert "begins: default, other.\n" in said
        assert said.endswith("ends: 6 messages enqueued.\n")
        ids = {json.loads(task.payload)["message"] for task in tasks}
        assert len(ids) == 6
        assert str(later.message_id) not in ids

    def test_ends_when_the_queue_is_down(self, queue: RecordingBackend, caplog: Any) -> None:
        """With an exit code, for whoever started it."""
        message = write()
        queue.refuses = True

        with pytest.raises(
            CommandError, match="Messages may wait: could not use Backend 'default'"
        ):
            run("relay_outbox", "--once")

        message.refresh_from_db()
        assert message.attempts == 0
        assert [record.getMessage() for record in caplog.records if record.name == "signals_plus"]
