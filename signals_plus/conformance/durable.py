"""The tests of durable receivers, on every queue whose workers are processes of their own."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from itertools import chain
from typing import Any

from ..backends.base import Task
from ..exceptions import InvalidReceiverError
from ..outbox.states import DEAD, TABLE
from .processes import eventually
from .project import MAX_ATTEMPTS, Project

RECEIVERS = "signals_plus.conformance.durable_receivers"


def durable(test: Callable[[Any], None]) -> Callable[[Any], None]:
    """See, where durable receivers are refused, that they are; run the test elsewhere."""

    @wraps(test)
    def run(self: DurableTests) -> None:
        if self.keeps_messages():
            test(self)
            return
        with self.assertRaisesRegex(InvalidReceiverError, "has durable=True, and "):
            self.made().refuse_unsupported(Task("a", print, print, durable=True))

    return run


class DurableTests(Project):
    """What holds for a message from its event to its receiver. See ``suite.BackendSuite``."""

    @durable
    def test_durable_runs_for_what_was_committed(self) -> None:
        """Once for an event of each database, and the message is gone with it."""
        before = len(self.runs("enter"))

        self.web.play("payment")

        self.work_off()
        names = [run["name"] for run in self.runs("enter")[before:]]
        self.assertEqual(names, self.aliases())
        for alias in self.aliases():
            self.assertEqual(self.entries(alias, alias), 1)
            self.assertEqual(self.messages("enter", alias), [])

    @durable
    def test_durable_does_not_run_for_what_was_rolled_back(self) -> None:
        """The message goes with a savepoint, and with a transaction."""
        before = len(self.runs("enter"))

        self.web.play("payment_rolled_back", "relay")

        self.work_off()
        names = {run["name"] for run in self.runs("enter")[before:]}
        self.assertEqual(names, {"kept"})
        self.assertEqual(self.entries("kept"), 1)
        self.assertEqual(self.messages("enter"), [])

    @durable
    def test_durable_survives_what_the_queue_loses(self) -> None:
        """The relay, a process of its own, enqueues it again."""
        before = self.entries("lost")
        self.web.play("payment_lost")
        self.work_off()
        self.assertEqual(self.entries("lost"), before)
        self.assertEqual(len(self.messages("enter")), 1)

        self.web.play("make_due")
        self.command("relay_outbox", "--once")

        self.work_off()
        self.assertEqual(self.entries("lost"), before + 1)
        self.assertEqual(self.messages("enter"), [])

    @durable
    def test_durable_survives_a_queue_that_cannot_be_reached(self) -> None:
        """Both kinds: nothing has them yet but the outbox."""
        for problem, settings in self.unreachable.items():
            with self.subTest(problem):
                before = {name: len(self.runs(name)) for name in ("enter", "post")}
                web = self.start_web(**settings)
                try:
                    web.play("Payment", "Letter")
                finally:
                    web.end()
                self.assertEqual(len(self.messages("enter")), 1)
                self.assertEqual(len(self.messages("post")), 1)

                self.web.play("relay")

                self.work_off()
                for name, count in before.items():
                    self.assertEqual(len(self.runs(name)), count + 1)
                    self.assertEqual(self.messages(name), [])

    @durable
    def test_durable_takes_effect_once_however_often_it_is_delivered(self) -> None:
        """What is delivered again finds the message gone."""
        before = len(self.runs("enter"))
        self.web.play("payment_lost")

        self.web.play("relay", "relay", "relay")

        self.work_off()
        self.assertEqual(len(self.runs("enter")), before + 1)

    @durable
    def test_durable_is_retried(self) -> None:
        """By the relay, whatever the queue does; what a failed attempt wrote is undone."""

        def is_done() -> bool:
            self.web.play("relay")
            return len(self.runs("doubt")) >= 3

        self.web.play("Doubtful")

        eventually(is_done, "the durable task is run again", seconds=60)
        self.work_off()
        self.assertEqual(len(self.runs("doubt")), 3)
        self.assertEqual(self.entries("doubtful"), 1)
        self.assertEqual(self.messages("doubt"), [])

    @durable
    def test_durable_is_dead_in_the_end(self) -> None:
        """It stays where a person sees it, with its error; the queue has shown each."""
        self.web.play("Hopeless")
        for attempt in range(1, MAX_ATTEMPTS):
            self.work_off()
            ((status, attempts, error),) = self.messages("despair")
            self.assertEqual((status, attempts), (0, attempt))
            self.assertEqual(error, "LookupError: the failure of a durable receiver")
            self.web.play("relay")

        self.work_off()

        ((status, attempts, _),) = self.messages("despair")
        self.assertEqual((status, attempts), (DEAD, MAX_ATTEMPTS))
        self.web.play("relay")
        self.work_off()
        self.assertEqual(len(self.runs("despair")), MAX_ATTEMPTS)
        self.assertEqual(self.entries("hopeless"), 0)
        self.assertIn("the failure of a durable receiver", self.shown_failures())
        health = self.command("outbox_stats", "--format", "json", "--max-dead", "0", fails=True)
        self.assertEqual(json.loads(health)["databases"]["default"]["dead"], 1)

    @durable
    def test_durable_batch_has_a_message_for_each_thousand_events(self) -> None:
        """And none for the rows of a savepoint that was rolled back."""
        self.web.play("ledger")

        self.work_off()
        numbers = [run["numbers"] for run in self.runs("sum_up")]
        self.assertEqual([len(each) for each in numbers], [1000, 1000, 500])
        self.assertEqual([*chain(*numbers)], [*range(2500)])
        self.assertEqual(self.messages("sum_up"), [])

    @durable
    def test_durable_coalesces(self) -> None:
        """Once for a row of a transaction, in its last state."""
        self.web.play("draft")

        self.work_off()
        ((text, created),) = [(run["text"], run["created"]) for run in self.runs("print_out")]
        self.assertEqual((text, created), ("c", True))
        self.assertEqual(self.messages("print_out"), [])

    @durable
    def test_durable_keeps_an_order(self) -> None:
        """Of messages with one key, each is enqueued when the one before it is done."""
        self.web.play("steps")

        eventually(lambda: not self.messages("climb"), "all steps are done")
        self.assertEqual([run["number"] for run in self.runs("climb")], [0, 1, 2, 3, 4])

    @durable
    def test_durable_publish_is_done_when_the_queue_has_it(self) -> None:
        before = len(self.runs("post"))

        self.web.play("Letter")

        self.assertEqual(self.messages("post"), [])
        self.work_off()
        self.assertEqual(len(self.runs("post")), before + 1)

    # -- what there is to see

    def messages(self, receiver: str, alias: str = "default") -> list[tuple[int, int, str]]:
        """Return the state, the attempts and the last error of each message of a receiver."""
        return self._select(
            f"SELECT status, attempts, last_error FROM {TABLE} WHERE receiver = ?",
            f"{RECEIVERS}.{receiver}",
            alias,
        )

    def entries(self, name: str, alias: str = "default") -> int:
        """Return how often a durable receiver has written this."""
        select = "SELECT 1 FROM signals_plus_conformance_entry WHERE name = ?"
        return len(self._select(select, name, alias))

    def _select(self, select: str, parameter: str, alias: str) -> list[Any]:
        """Return what is committed in a database of the project."""
        with closing(sqlite3.connect(self.folder / f"{alias}.sqlite3", timeout=30)) as connection:
            return connection.execute(select, [parameter]).fetchall()

    def command(self, *arguments: str, fails: bool = False) -> str:
        """Return what a management command writes, in a process of its own."""
        finished = subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            env=self.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertEqual(finished.returncode, int(fails), finished.stderr)
        return finished.stdout
