"""The relay dies, is held up, or is one of several."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connections

from signals_plus.outbox.deliveries import PUBLISHED_TOGETHER
from signals_plus.outbox.models import Message
from signals_plus.outbox.relay import Relay
from signals_plus.outbox.table import OutboxTable
from tests.outbox.chaos.queue import CAUGHT
from tests.outbox.chaos.traps import RELAYING
from tests.outbox.conftest import committing_tests
from tests.outbox.faults.conftest import MAX_ATTEMPTS, Project
from tests.services import eventually

pytestmark = committing_tests


NAMES = [f"{number:02}" for number in range(25)]


class TestRelay:
    @pytest.mark.parametrize("side", ["before", "after"])
    @pytest.mark.parametrize("point", RELAYING)
    def test_that_dies_does_nothing_twice(self, point: str, side: str, project: Project) -> None:
        project.break_queue()
        project.produce(*NAMES)
        project.mend_queue()
        project.make_due()
        project.traps.set(point, side)

        assert project.relay() == CAUGHT

        assert project.pending() == len(NAMES)
        project.settle()
        assert project.effects() == NAMES
        # A delivery that follows a claim counts as an attempt: none of them used up.
        assert not Message.objects.exists()

    @pytest.mark.parametrize("side", ["before", "after"])
    @pytest.mark.parametrize("point", [*RELAYING, "table.delete"])
    def test_that_dies_publishes_few_again(self, point: str, side: str, project: Project) -> None:
        """durable="publish": none lost, and no more doubled than are deleted together."""
        project.break_queue()
        project.produce(*NAMES, model="UuidItem")
        project.mend_queue()
        project.make_due()
        skip = {"queue.put": 12, "table.claim": 0}.get(point, 1)
        project.traps.set(point, side, skip=skip)

        assert project.relay() == CAUGHT

        project.settle()
        told = Counter(project.ledger.lines())
        assert set(told) == {f"tell {name}" for name in NAMES}
        assert sum(told.values()) - len(NAMES) <= PUBLISHED_TOGETHER
        assert max(told.values()) <= 2

    def test_waits_for_a_claim_to_expire(self, project: Project) -> None:
        """What a dead relay had claimed is not claimed again before."""
        project.break_queue()
        project.produce("a")
        project.mend_queue()
        project.make_due()
        project.traps.set("table.claim", "after")
        assert project.relay() == CAUGHT

        assert project.relay() == 0
        assert project.queue.lines == []

    @pytest.mark.parametrize("model", ["Tag", "UuidItem"])
    def test_that_is_killed_by_a_message_buries_it(self, model: str, project: Project) -> None:
        """The one that ends the process is found; the others do not wait for it to be dead."""
        project.break_queue()
        project.produce("killer", *NAMES, model=model)
        project.mend_queue()
        project.make_due()
        killer = Message.objects.earliest("id")
        project.queue.kill_for(str(killer.message_id))

        assert project.relay() == CAUGHT  # it has claimed them all
        project.make_due()
        assert project.relay() == CAUGHT  # it has claimed this one
        assert project.relay() == 0
        assert project.work() == 0

        done = project.effects() if model == "Tag" else [*map(_told, project.ledger.lines())]
        assert sorted(done) == NAMES
        assert project.pending() == 1
        deaths = 2

        def nothing_is_pending() -> bool:
            nonlocal deaths
            project.make_due()
            deaths += project.relay() == CAUGHT
            return project.pending() == 0

        eventually(nothing_is_pending)
        killer.refresh_from_db()
        assert (killer.status, killer.attempts) == (Message.Status.DEAD, MAX_ATTEMPTS)
        # With others in a batch, nobody knows which of them it was: that counts for none.
        assert deaths == MAX_ATTEMPTS + (model == "Tag")

    @pytest.mark.parametrize("model", ["Tag", "UuidItem"])
    def test_that_was_held_up_undoes_nothing(
        self, model: str, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It comes back to claims that are another's by now: what it writes is fenced off."""
        project.break_queue()
        project.produce("a", model=model)
        project.make_due()
        put = type(project.queue).enqueue_many
        seen: list[Any] = []

        def hold_up(self: Any, messages: Any) -> Any:
            monkeypatch.undo()
            refused = put(self, messages)
            # Its time is over, and another relay claims it, and dies.
            project.make_due()
            # It looks for suspects second, and what was claimed and not heard of is one by now.
            project.traps.set("table.claim", "after", skip=1)
            assert project.relay() == CAUGHT
            seen.append(Message.objects.values().get())
            return refused

        monkeypatch.setattr(type(project.queue), "enqueue_many", hold_up)
        Relay(["default"]).run_once()

        assert seen == [Message.objects.values().get()]

    def test_has_messages_alone(self, project: Project) -> None:
        """Four relays at a time: each message is claimed by one."""
        project.break_queue()
        names = [f"{number:03}" for number in range(400)]
        project.produce(*names)
        project.make_due()
        claimed: list[Any] = []
        start = threading.Barrier(4)

        def claim(name: str) -> None:
            table = OutboxTable("default")
            start.wait(30)
            try:
                while some := table.claim(name, 10, grace=30):
                    claimed.extend(message.message_id for message in some)
            finally:
                connections["default"].close()

        threads = [threading.Thread(target=claim, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert len(claimed) == len(names)
        assert len(set(claimed)) == len(names)


def _told(line: str) -> str:
    return line.removeprefix("tell ")
