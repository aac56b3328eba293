"""The project that the tests of a backend run in, and its processes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import ENVIRONMENT_VARIABLE
from django.conf import settings as django_settings
from django.test.utils import override_settings
from django.utils.module_loading import import_string

from ..backends.base import BaseBackend
from . import journal
from .processes import Web, Worker, eventually

if TYPE_CHECKING:
    import unittest

    _Base = unittest.TestCase
else:
    _Base = object


# Of a durable message: few, so that a test can use them up.
MAX_ATTEMPTS = 4


class Project(_Base):
    """What a backend says of itself, one process that saves rows, and one worker.

    See ``suite.BackendSuite``, which the tests of a backend are derived from.
    """

    #: The entry of ``SIGNALS_PLUS_BACKENDS``.
    backend: ClassVar[Mapping[str, Any]]
    #: Further settings; they have to survive JSON.
    settings: ClassVar[Mapping[str, Any]] = {}
    #: Further apps: those of the queue.
    installed_apps: ClassVar[Sequence[str]] = ()
    #: What Python is given to start a worker for one task at a time, in the order of the queue.
    #: None: tasks run in the process that saves.
    worker: ClassVar[Sequence[str] | None] = None
    #: What the worker writes when it takes tasks.
    worker_is_ready: ClassVar[str] = ""
    #: The dotted path of the ``backend_options`` by which a task runs again at once, up to five
    #: times, if it raises ``LookupError``.
    retry_options: ClassVar[str] = ""
    #: What is shown of a failed task, before the name of a receiver that the worker does not know.
    says_unknown: ClassVar[str] = "No task receiver is named"
    #: A second queue that the worker takes from.
    other_queue: ClassVar[str] = ""
    #: Two values of ``queue_priority``, of which the queue prefers the second.
    priorities: ClassVar[Sequence[int]] = ()
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
        if not (django_settings.configured or os.environ.get(ENVIRONMENT_VARIABLE)):
            django_settings.configure()  # settings that are none cannot be overridden
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
            "CONFORMANCE_PRIORITIES": cls.priorities,
            "CONFORMANCE_RUN_AFTER": cls.made().supports_run_after,
            "CONFORMANCE_MERGES": cls.made().transaction_alias is None,
            "SIGNALS_PLUS_OUTBOX_MAX_ATTEMPTS": MAX_ATTEMPTS,
            "CONFORMANCE_DURABLE": cls.keeps_messages(),
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
    def keeps_messages(cls) -> bool:
        """Tell whether receivers may be durable: their messages are in the outbox until done."""
        made = cls.made()
        return made.has_workers and made.transaction_alias is None

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
        return [run for run in journal.read(self.folder) if run.pop("receiver") == receiver]

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
                seconds=60,
            )
            self.assertLess(ran, 2_000, "a chain of tasks does not end")

    def _other_runs(self) -> int:
        return sum(run["receiver"] != "mark" for run in journal.read(self.folder))
