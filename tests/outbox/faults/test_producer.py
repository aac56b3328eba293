"""The process that saves rows dies."""

from __future__ import annotations

import pytest

from tests.outbox.chaos.queue import CAUGHT
from tests.outbox.chaos.traps import PRODUCING
from tests.outbox.conftest import committing_tests
from tests.outbox.faults.conftest import Project

pytestmark = committing_tests


class TestProducer:
    @pytest.mark.parametrize(
        ("point", "side"),
        [("table.insert", "before"), ("table.insert", "after"), ("commit", "before")],
    )
    def test_that_dies_before_the_commit_leaves_nothing(
        self, point: str, side: str, project: Project
    ) -> None:
        project.traps.set(point, side)

        assert project.produce("a", "b") == CAUGHT

        project.settle()
        assert project.committed() == project.effects() == []
        assert project.queue.lines == []

    @pytest.mark.parametrize(
        ("point", "side"),
        [("commit", "after"), ("queue.enqueue_many", "before"), ("queue.put", "before")],
    )
    def test_that_dies_between_the_commit_and_the_queue_loses_nothing(
        self, point: str, side: str, project: Project
    ) -> None:
        """The relay enqueues what it could not."""
        project.traps.set(point, side)

        assert project.produce("a", "b") == CAUGHT

        assert project.queue.lines == []
        assert project.relay() == 0
        assert project.queue.lines == []  # its grace is not over
        project.make_due()
        assert project.relay() == 0
        assert project.work() == 0
        assert project.effects() == ["a", "b"]
        assert project.pending() == 0

    @pytest.mark.parametrize(("point", "enqueued"), [("queue.put", 1), ("queue.enqueue_many", 2)])
    def test_that_dies_after_the_queue_has_it_does_nothing_twice(
        self, point: str, enqueued: int, project: Project
    ) -> None:
        """Those that are enqueued twice take effect once."""
        project.traps.set(point, "after")

        assert project.produce("a", "b") == CAUGHT

        lines = project.queue.lines
        assert len(lines) == enqueued
        project.make_due()
        assert project.relay() == 0
        assert len(project.queue.lines) == enqueued + 2
        assert project.work() == 0
        assert project.effects() == ["a", "b"]
        assert project.pending() == 0

    @pytest.mark.parametrize("side", ["before", "after"])
    @pytest.mark.parametrize("point", [*PRODUCING, "table.delete"])
    def test_that_dies_anywhere_tells_of_what_was_committed(
        self, point: str, side: str, project: Project
    ) -> None:
        """durable="publish": at least once, and of nothing else."""
        project.traps.set(point, side)

        assert project.produce("a", model="UuidItem") == CAUGHT

        committed = (point, side) not in [
            ("table.insert", "before"), ("table.insert", "after"), ("commit", "before"),
        ]  # fmt: skip
        project.settle()
        assert set(project.ledger.lines()) == ({"tell a"} if committed else set())
        assert project.pending() == 0
