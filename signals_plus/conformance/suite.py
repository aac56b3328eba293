"""The tests that every backend passes, against its real queue and a real worker."""

from __future__ import annotations

from itertools import chain
from typing import Any

from ..backends.base import Task
from ..exceptions import InvalidReceiverError
from .durable import DurableTests
from .keywords import KeywordTests
from .processes import eventually

RECEIVERS = "signals_plus.conformance.receivers"


class BackendSuite(KeywordTests, DurableTests):
    """Derive a test case from it, and say how the queue is reached and its worker is started.

    All runs in a project of the suite's own, on SQLite: one process that saves rows, one worker
    that takes one task after the other, and one that the tests run in. None of them reads the
    settings of the project that the test case belongs to.

    Example::

        class TestMyBackend(BackendSuite, unittest.TestCase):
            backend = {"BACKEND": "my_package.MyBackend", "OPTIONS": {"url": "..."}}
            installed_apps = ["my_queue"]
            worker = ["-m", "my_queue.worker", "--concurrency", "1"]
            worker_is_ready = "waiting for jobs"
    """

    def test_runs_once_for_what_was_committed(self) -> None:
        """In another process if there is a worker, and not again for what it saves itself."""
        before = len(self.runs("save_page_again"))

        self.web.play("Page")

        self.work_off()
        (run,) = self.runs("save_page_again")[before:]
        self.assertEqual(run["saves"], 1)
        if self.process is not None:
            self.assertNotEqual(run["pid"], self.web.pid)

    def test_does_not_run_for_what_was_rolled_back(self) -> None:
        before = len(self.runs("save_page_again"))

        self.web.play("rolled_back")

        self.work_off()
        self.assertEqual(len(self.runs("save_page_again")), before)

    def test_ends_a_pair_of_receivers_that_save_each_others_rows(self) -> None:
        """One run of each for each save that no receiver did."""
        self.web.play("pair")
        self.work_off()
        # The pair is made by two saves: one starts left, right and the other right, left.
        self.assertEqual([len(self.runs("save_right")), len(self.runs("save_left"))], [2, 2])

        self.web.play("pair_again")

        self.work_off()
        self.assertEqual([len(self.runs("save_right")), len(self.runs("save_left"))], [3, 3])

    def test_runs_a_receiver_that_has_only_a_name(self) -> None:
        """A closure, which no other process could find by where it is defined."""
        before = len(self.runs("closure"))

        self.web.play("Page")

        self.work_off()
        self.assertEqual(len(self.runs("closure")), before + 1)

    def test_gives_the_arguments_that_were_sent(self) -> None:
        """Each kind of row from its own database, to an async receiver."""
        before = len(self.runs("describe"))

        self.web.play("described")

        self.work_off()
        *created, updated = self.details("describe", since=before)
        key = "12345678-1234-5678-1234-567812345678"
        rows = {"Described": "1", "Child": "2", "Proxy": "3", "UuidRow": key}
        rows |= {"CompositeRow": "('a', 5)", "Hidden": "1"}
        sent = {"created": True, "update_fields": None, "raw": False, "signal": True}
        self.assertEqual(
            created,
            [
                {**sent, "sender": name, "instance": name, "pk": pk, "db": alias, "using": alias}
                for alias in self.aliases()
                for name, pk in rows.items()
            ],
        )
        changed = {"created": False, "update_fields": ["frozenset", "name"]}
        self.assertEqual(updated, {**created[0], **changed})

    def test_gives_what_is_no_row(self) -> None:
        """The keys of m2m_changed, a type of the project's own, and what was deleted."""
        self.web.play("parcel")
        self.work_off()
        self.web.play("parcel_gone")
        self.work_off()

        actions = ("pre_add", "post_add")
        price = "Price(amount=Decimal('9.90'), currency='EUR')"
        self.assertEqual(
            self.details("stick"),
            [{"name": "a", "action": action, "pks": "{7}"} for action in actions],
        )
        self.assertEqual(self.details("book"), [{"name": "a", "price": price}])
        self.assertEqual(self.details("forget"), [{"pk": 1, "name": "a", "origin": "Parcel"}])

    def test_gives_an_event_of_the_largest_size(self) -> None:
        """Almost what ``SIGNALS_PLUS_MAX_PAYLOAD_BYTES`` allows where nobody sets it."""
        self.web.play("large")

        self.work_off()
        self.assertEqual(self.details("read"), [{"is_whole": True}])

    def test_skips_a_row_that_is_gone(self) -> None:
        """The task succeeds without its function."""
        self.web.play("gone")

        self.work_off()
        self.assertEqual(self.runs("see_nothing"), [])
        self.assertNotIn("does not exist", self.shown_failures())

    def test_runs_each_of_many_events_once(self) -> None:
        """And nothing for the rows that the queue itself writes: that would never end."""
        self.work_off()  # rows that came with the tables, such as content types
        before = len(self.runs("see_every_row"))

        self.web.play("many")

        self.work_off()
        senders = [run["sender"] for run in self.runs("see_every_row")[before:]]
        self.assertEqual(senders, ["signals_plus_conformance.Note"] * 250)

    def test_runs_a_batch_for_each_thousand_events(self) -> None:
        """Every row of a transaction, once, in a handful of tasks.

        Refused by a queue that writes its rows within the transaction.
        """
        if self.made().transaction_alias is not None:
            with self.assertRaisesRegex(InvalidReceiverError, "merges events"):
                self.made().refuse_unsupported(Task("a", print, print, merges=True))
            return
        self.web.play("imported")

        self.work_off()
        numbers = [run["numbers"] for run in self.runs("count")]
        self.assertEqual([len(each) for each in numbers], [1000, 1000, 500])
        self.assertEqual([*chain(*numbers)], [*range(2500)])

    def test_shows_a_failure_and_goes_on(self) -> None:
        """The error of a receiver is seen by whoever looks after the queue."""
        self.web.play("Failing")

        self.work_off()
        self.assertGreaterEqual(len(self.runs("fail")), 1)
        self.assertIn("the failure of a conformance receiver", self.shown_failures())

    def test_shows_a_task_that_the_worker_does_not_know(self) -> None:
        """As a failure: nobody would miss what is dropped in silence."""
        if self.process is None:
            return  # the process that saves knows each receiver that it has
        self.web.play("unheard")

        self.work_off()
        self.assertIn(f"{self.says_unknown} 'of the next release'", self.shown_failures())

    def test_names_each_task_by_its_receiver(self) -> None:
        """What a monitor shows is the receiver, not what runs all of them."""
        self.web.play("Page")

        self.work_off()
        self.assertIn(f"{RECEIVERS}.save_page_again", self.names_in_monitor())

    def test_a_queue_that_cannot_be_reached_holds_nobody_up(self) -> None:
        """The request goes on within its time, the row is saved, the failure is reported."""
        for problem, settings in self.unreachable.items():
            with self.subTest(problem):
                before = len(self.runs("enqueue_failed"))
                web = self.start_web(**settings)
                try:
                    seconds = web.play("Page", "Page")
                finally:
                    web.end()
                self.assertLess(seconds, self.bound)
                failures = self.runs("enqueue_failed")[before:]
                # Two receivers for each of two pages.
                self.assertEqual([each["error"] for each in failures], ["BackendError"] * 4)

    def test_loses_nothing_when_it_is_ended(self) -> None:
        """SIGTERM: what is in the queue is done before the end, or by the next worker."""
        before = len(self.runs("take_a_while"))
        if self.process is None:
            web = self.start_web()
            web.play("slow")
            web.end()
        else:
            self.web.play("slow")
            eventually(lambda: len(self.runs("take_a_while")) > before, "the worker is at it")
            self.end_worker()
            self.start_worker()

        self.work_off()
        done = len(self.runs("take_a_while")) - before
        self.assertLessEqual(done, 10)
        self.assertGreaterEqual(done, 10 - self.lost_when_ended)

    def details(self, receiver: str, since: int = 0) -> list[dict[str, Any]]:
        """Return what the runs of a receiver wrote down of their arguments."""
        return [
            {name: value for name, value in run.items() if name != "pid"}
            for run in self.runs(receiver)[since:]
        ]
