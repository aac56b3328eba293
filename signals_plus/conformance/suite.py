"""The tests that every backend passes, against its real queue and a real worker."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.test.utils import override_settings
from django.utils.module_loading import import_string

from ..backends.base import BaseBackend, Task
from ..exceptions import InvalidReceiverError
from . import journal
from .processes import Web, Worker, eventually, runs

if TYPE_CHECKING:
    import unittest

    _Base = unittest.TestCase
else:
    _Base = object

RECEIVERS = "signals_plus.conformance.receivers"
SECOND = timedelta(seconds=1)


class BackendSuite(_Base):
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

    #: The entry of ``SIGNALS_PLUS_BACKENDS``.
    backend: ClassVar[Mapping[str, Any]]
    #: Further settings; they have to survive JSON.
    settings: ClassVar[Mapping[str, Any]] = {}
    installed_apps: ClassVar[Sequence[str]] = ()
    #: What Python is given to start a worker for one task at a time, in the order of the queue.
    #: None: tasks run in the process that saves.
    worker: ClassVar[Sequence[str] | None] = None
    #: What the worker writes when it takes tasks.
    worker_is_ready: ClassVar[str] = ""
    #: The dotted path of the ``backend_options`` by which a task runs again at once, up to five
    #: times, if it raises ``LookupError``.
    retry_options: ClassVar[str] = ""
    #: A second queue that the worker takes from.
    other_queue: ClassVar[str] = ""
    #: Settings under which the queue cannot be reached, by what is wrong then.
    unreachable: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    #: How many tasks are lost when a worker is ended just as it takes one out of the queue.
    lost_when_ended: ClassVar[int] = 0
    #: Seconds that a request may wait for a queue that cannot be reached.
    bound: ClassVar[float] = 5

    folder: ClassVar[Path]
    web: ClassVar[Web]
    process: ClassVar[Worker | None] = None

    # -- what a queue may do in its own way

    @classmethod
    def set_up_queue(cls) -> None:
        """Make ready what the queue needs, before any process is started."""

    @classmethod
    def tear_down_queue(cls) -> None:
        """Take out of the queue what is left in it, when all processes have ended."""

    def names_in_monitor(self) -> str:
        """Return what the queue's own monitor shows; by itself, what was written to the log."""
        return self.log()

    def shown_failures(self) -> str:
        """Return what is to be seen of tasks that failed; by itself, what was written."""
        return self.log()

    # -- the project

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.folder = Path(tempfile.mkdtemp(prefix="signals-plus-conformance-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.set_up_queue()
        cls.addClassCleanup(cls.tear_down_queue)
        # This process asks backends of its own what they can do. How it logs is its own affair.
        settings = {name: value for name, value in cls.settings.items() if name != "LOGGING"}
        cls.enterClassContext(override_settings(**settings))
        cls.web = cls.start_web()
        cls.addClassCleanup(cls.web.end)
        cls.web.play("migrate")
        if cls.worker is not None:
            cls.start_worker()
            cls.addClassCleanup(cls.end_worker)

    @classmethod
    def environment(cls, **settings: Any) -> dict[str, str]:
        """Return the environment of a process of the project, with these settings changed."""
        given = {
            "SIGNALS_PLUS_BACKENDS": {"default": cls.backend},
            "CONFORMANCE_RETRY_OPTIONS": cls.retry_options,
            "CONFORMANCE_QUEUE_NAME": cls.other_queue,
            "CONFORMANCE_RUN_AFTER": cls.made().supports_run_after,
            "CONFORMANCE_MERGES": cls.made().transaction_alias is None,
            "CONFORMANCE_ALIASES": cls.aliases(),
            **cls.settings,
            **settings,
        }
        project = {"folder": str(cls.folder), "apps": list(cls.installed_apps), "settings": given}
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "DJANGO_SETTINGS_MODULE": "signals_plus.conformance.settings",
            "SIGNALS_PLUS_CONFORMANCE": json.dumps(project),
        }

    @classmethod
    def made(cls) -> BaseBackend:
        """Return a backend of the project: what it can do may depend on settings."""
        made = import_string(cls.backend["BACKEND"])("default", cls.backend.get("OPTIONS", {}))
        assert isinstance(made, BaseBackend)
        return made

    @classmethod
    def aliases(cls) -> list[str]:
        """Return the databases whose rows can be enqueued."""
        # A queue that writes its rows within the transaction takes those of one database.
        alias = cls.made().transaction_alias
        return ["default", "other"] if alias is None else [alias]

    @classmethod
    def start_web(cls, **settings: Any) -> Web:
        """Start a process that saves rows."""
        return Web(cls.environment(**settings), cls.folder / "web.log")

    @classmethod
    def start_worker(cls) -> None:
        """Start the worker, and return when it takes tasks."""
        assert cls.worker is not None
        log = cls.folder / "worker.log"
        cls.process = Worker(cls.worker, cls.worker_is_ready, cls.environment(), log)

    @classmethod
    def end_worker(cls) -> int:
        """Ask the worker to end; return its exit code."""
        assert cls.process is not None
        return cls.process.end()

    @classmethod
    def log(cls) -> str:
        """Return what the worker has written, or without one the process that saves rows."""
        return (cls.folder / ("web.log" if cls.worker is None else "worker.log")).read_text()

    def runs(self, receiver: str) -> list[dict[str, Any]]:
        """Return what each run of a receiver wrote down."""
        return runs(self.folder, receiver)

    def work_off(self) -> None:
        """Wait until all that was in the queue is done, and what that put into the queue.

        One task is taken after the other: when a marker is done, so is all before it. When nothing
        else ran between two markers, nothing is left.
        """
        before = None
        while before != (ran := self._other_runs()):
            before = ran
            markers = len(self.runs("mark"))
            self.web.play("Marker")
            eventually(
                lambda count=markers: len(self.runs("mark")) > count,  # type: ignore[misc]
                "the queue is worked off",
            )
            self.assertLess(ran, 2_000, "a chain of tasks does not end")

    def _other_runs(self) -> int:
        return sum(run["receiver"] != "mark" for run in journal.read(self.folder))

    # -- the tests

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
        *created, updated = [
            {name: value for name, value in run.items() if name != "pid"}
            for run in self.runs("describe")[before:]
        ]
        key = "12345678-1234-5678-1234-567812345678"
        rows = {
            "Described": "1",
            "Child": "2",
            "Proxy": "3",
            "UuidRow": key,
            "CompositeRow": "('a', 5)",
            "Hidden": "1",
        }
        common = {"raw": False, "signal": True}
        self.assertEqual(
            created,
            [
                {
                    **common,
                    "sender": name,
                    "instance": name,
                    "pk": pk,
                    "db": alias,
                    "using": alias,
                    "created": True,
                    "update_fields": None,
                }
                for alias in self.aliases()
                for name, pk in rows.items()
            ],
        )
        self.assertEqual(
            updated,
            {
                **common,
                "sender": "Described",
                "instance": "Described",
                "pk": "1",
                "db": "default",
                "using": "default",
                "created": False,
                "update_fields": ["frozenset", "name"],
            },
        )

    def test_gives_what_is_no_row(self) -> None:
        """The keys of m2m_changed, a type of the project's own, and what was deleted."""
        self.web.play("parcel")
        self.work_off()
        self.web.play("parcel_gone")
        self.work_off()

        details = {
            receiver: [
                {name: value for name, value in run.items() if name != "pid"}
                for run in self.runs(receiver)
            ]
            for receiver in ("stick", "book", "forget")
        }
        price = "Price(amount=Decimal('9.90'), currency='EUR')"
        self.assertEqual(
            details,
            {
                "stick": [
                    {"name": "a", "action": action, "pks": "{7}"}
                    for action in ("pre_add", "post_add")
                ],
                "book": [{"name": "a", "price": price}],
                "forget": [{"pk": 1, "name": "a", "origin": "Parcel"}],
            },
        )

    def test_skips_a_row_that_is_gone(self) -> None:
        """The task succeeds without its function."""
        self.web.play("gone")

        self.work_off()
        self.assertEqual(self.runs("see_nothing"), [])

    def test_runs_each_of_many_events_once(self) -> None:
        """And nothing for the rows that the queue itself writes: that would never end."""
        before = len(self.runs("see_every_row"))

        self.web.play("many")

        self.work_off()
        senders = [run["sender"] for run in self.runs("see_every_row")[before:]]
        self.assertEqual(senders, ["signals_plus_conformance.Note"] * 100)

    def test_runs_a_batch_for_each_thousand_events(self) -> None:
        """Every row of a transaction, once, in a handful of tasks."""
        if self.made().transaction_alias is not None:
            return  # refused when the receiver is connected: it writes within the transaction
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

    def test_refuses_a_priority_it_does_not_have(self) -> None:
        """``queue_priority``."""
        self.refuses_or(self.made().supports_priority, Task("a", print, print, queue_priority=1))

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

    def refuses_or(self, supports: bool, task: Task) -> None:
        """See that a task is refused by a queue that does not support what it asks for."""
        backend = self.made()
        if supports:
            backend.refuse_unsupported(task)
        else:
            with self.assertRaisesRegex(InvalidReceiverError, "does not support"):
                backend.refuse_unsupported(task)
