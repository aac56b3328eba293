"""A worker dies, or is one of several that are given the same message."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import connections
from django.db.models import F

from signals_plus.outbox.models import Message
from signals_plus.outbox.relay import Relay
from signals_plus.outbox.rows import StoredMessage
from signals_plus.outbox.states import RELAYING, RUNNING
from signals_plus.outbox.table import OutboxTable
from tests.outbox.chaos import queue
from tests.outbox.chaos.queue import CAUGHT
from tests.outbox.conftest import committing_tests
from tests.outbox.faults.conftest import MAX_ATTEMPTS, Project
from tests.services import eventually

pytestmark = committing_tests


class TestWorker:
    @pytest.mark.parametrize("is_relayed", [False, True])
    @pytest.mark.parametrize(
        ("point", "side", "runs"),
        [
            ("table.lock", "before", 1),
            ("table.lock", "after", 1),
            ("receiver", "before", 2),
            ("receiver", "after", 2),
            ("table.delete", "before", 2),
            ("table.delete", "after", 2),
        ],
    )
    def test_that_dies_before_the_commit_is_followed_by_another(
        self, point: str, side: str, runs: int, is_relayed: bool, project: Project
    ) -> None:
        """Whatever the receiver had written is undone, and done again."""
        project.produce("a")
        if is_relayed:
            project.queue.forget()
            project.make_due()
            project.relay()
        project.traps.set(point, side)

        assert project.work() == CAUGHT

        assert project.effects() == []
        assert project.pending() == 1
        project.settle()
        assert project.effects() == ["a"]
        assert project.ledger.lines() == ["copy a"] * runs

    def test_that_dies_before_the_commit_itself(self, project: Project) -> None:
        project.produce("a")
        project.traps.set("commit", "before")

        assert project.work() == CAUGHT

        assert project.effects() == []
        project.settle()
        assert project.effects() == ["a"]
        assert project.ledger.lines() == ["copy a"] * 2

    def test_that_dies_after_the_commit_has_done_it(self, project: Project) -> None:
        project.produce("a")
        copy = project.queue.lines
        project.traps.set("commit", "after")

        assert project.work() == CAUGHT

        assert project.effects() == ["a"]
        assert project.pending() == 0
        assert project.run("work", lines=copy) == 0
        assert project.ledger.lines() == ["copy a"]

    def test_that_is_killed_by_a_message_buries_it(self, project: Project) -> None:
        """Others go on; it is dead after its attempts, and is not run again."""
        good = [f"{number:02}" for number in range(10)]
        project.produce("killer", *good)
        deaths = 0

        def nothing_is_pending() -> bool:
            nonlocal deaths
            project.traps.set("receiver.killer", "before")
            for line in project.queue.take():
                deaths += project.run("work", lines=[line]) == CAUGHT
            project.make_due()
            project.relay()
            return project.pending() == 0

        eventually(nothing_is_pending)

        assert project.effects() == good
        (dead,) = Message.objects.all()
        assert (dead.status, dead.attempts) == (Message.Status.DEAD, MAX_ATTEMPTS)
        # What the queue gave it at first is not counted: nobody had claimed it then.
        assert deaths == MAX_ATTEMPTS + 1
        assert project.relay() == 0
        assert project.queue.lines == []


class TestCopies:
    """The same message, delivered fifty times at once to four workers, while two relays run."""

    @pytest.mark.parametrize("is_relayed", [False, True])
    @pytest.mark.parametrize("attempts_left", [1, MAX_ATTEMPTS])
    def test_take_effect_once(self, is_relayed: bool, attempts_left: int, project: Project) -> None:
        project.produce("a")
        if is_relayed:
            project.make_due()
            project.relay()
        # Due: or it would be one that has failed, and whose time has not come.
        Message.objects.update(attempts=MAX_ATTEMPTS - attempts_left, due_at=F("created_at"))
        pk = Message.objects.get().pk
        (line, *_) = project.queue.take()
        start = threading.Barrier(6)
        errors: list[Exception] = []

        def work() -> None:
            for _ in range(13):
                queue.work(line)

        def relay() -> None:
            one = Relay(["default"])
            pending = Message.objects.filter(status=Message.Status.PENDING)
            # Who has claimed it is not late yet: that would count as a death. By its key alone:
            # over the index of what is due, MariaDB would lock it the other way round.
            free = Message.objects.filter(pk=pk).exclude(claimed_by__startswith=RUNNING)
            free = free.exclude(claimed_by__startswith=RELAYING)
            while pending.exists():
                free.update(due_at=F("created_at"))
                one.run_once()

        def run(one: Callable[[], None]) -> None:
            start.wait(30)
            try:
                one()
            except Exception as error:
                errors.append(error)
            finally:
                connections["default"].close()

        threads = [threading.Thread(target=run, args=(one,)) for one in [work] * 4 + [relay] * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert errors == []
        assert project.effects() == ["a"]
        assert project.ledger.lines() == ["copy a"]
        assert not Message.objects.exists()

    def test_do_not_bury_it_while_one_is_about_to_run_it(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The last attempt is counted, and has not begun: it has not failed either."""
        project.produce("a")
        project.make_due()
        project.relay()
        Message.objects.update(attempts=MAX_ATTEMPTS - 1)
        line, copy = project.queue.take()
        lock = OutboxTable.lock
        locks = 0

        def lock_late(
            table: OutboxTable, message_id: UUID, *, waits: bool = False
        ) -> StoredMessage | None:
            nonlocal locks
            locks += 1
            if locks == 2:
                assert project.run("work", lines=[copy]) == 0
            return lock(table, message_id, waits=waits)

        monkeypatch.setattr(OutboxTable, "lock", lock_late)
        queue.work(line)

        assert locks > 1
        assert project.effects() == ["a"]
        assert not Message.objects.exists()
