"""The tests of what a receiver may ask of its queue, which each queue does or refuses."""

from __future__ import annotations

import time
from datetime import timedelta

from ..backends.base import Task
from ..exceptions import InvalidReceiverError
from .processes import eventually
from .project import Project

SECOND = timedelta(seconds=1)


class KeywordTests(Project):
    """What holds for the keywords that are the queue's affair. See ``suite.BackendSuite``."""

    def test_retries_as_the_queue_was_told(self) -> None:
        """In the queue's own terms, if it has any."""
        self.assertEqual(bool(self.retry_options), self.made().supports_retries)
        expected = 3 if self.retry_options else 1

        self.web.play("Flaky")

        eventually(
            lambda: len(self.runs("fail_twice")) >= expected, "the task is run again", seconds=60
        )
        self.work_off()
        self.assertEqual(len(self.runs("fail_twice")), expected)

    def test_waits_as_it_was_told(self) -> None:
        """``run_after``; a queue that cannot wait refuses the receiver."""
        self.refuses_or(self.made().supports_run_after, Task("a", print, print, run_after=SECOND))
        started = time.time()

        self.web.play("Later")

        eventually(lambda: self.runs("run_later"), "its time has come", seconds=60)
        if self.made().supports_run_after:
            self.assertGreaterEqual(self.runs("run_later")[0]["at"] - started, 1)

    def test_takes_the_queue_it_was_told(self) -> None:
        """``queue_name``; where there is one queue only, naming one is refused."""
        self.assertEqual(bool(self.other_queue), self.made().supports_queue_name)
        self.refuses_or(self.made().supports_queue_name, Task("a", print, print, queue_name="b"))

        self.web.play("Sorted")

        eventually(lambda: self.runs("run_elsewhere"), "the other queue is worked off")

    def test_prefers_a_priority(self) -> None:
        """``queue_priority``, among what waits; a queue that has none refuses the receiver."""
        supports = self.made().supports_priority
        self.refuses_or(supports, Task("a", print, print, queue_priority=1))
        if self.process is None:
            return  # nothing waits
        self.assertEqual(bool(self.priorities), supports)
        if not supports:
            return
        low, high = self.priorities
        self.work_off()
        self.end_worker()

        self.web.play("Ranked")  # enqueues the low one first

        self.start_worker()
        eventually(lambda: len(self.runs("run_in_turn")) == 2, "both are done")
        self.assertEqual([run["priority"] for run in self.runs("run_in_turn")], [high, low])

    def refuses_or(self, supports: bool, task: Task) -> None:
        """See that a task is refused by a queue that does not support what it asks for."""
        backend = self.made()
        if supports:
            backend.refuse_unsupported(task)
        else:
            with self.assertRaisesRegex(InvalidReceiverError, "does not support"):
                backend.refuse_unsupported(task)
