"""A real worker as another process, ended whatever happens."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from config import queues
from django.conf import settings

from signals_plus.signals import enqueue_failed

from . import processes
from .receivers import MARK, mark_sent
from .rows import Row, Trace
from .stopping import Stopping

START_TIMEOUT = 15  # seconds
POLL = 0.01  # seconds between two looks at the trace


class DemoError(Exception):
    """The demo cannot go on."""


class Worker:
    """Start the worker, wait until it takes tasks, and end it at the end of the block.

    With a queue that needs none, this process is the worker.
    """

    def __init__(self, folder: Path, log: Path, trace: Trace, stopping: Stopping) -> None:
        self.folder = folder
        self.log = log
        self.trace = trace
        self.stopping = stopping
        self.queue = queues.chosen()
        self.process: processes.Process | None = None
        self._is_killed = False
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        # First of all: a queue that cannot be reached says why, which a worker's log hides.
        first = self.send_mark()
        self._start()
        try:
            self._wait_for_mark(first, START_TIMEOUT, "was ready")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        return os.getpid() if self.process is None else self.process.pid

    def ran(self, row: Row) -> bool:
        """Tell whether something happened in the worker: in a process of its own, or a thread."""
        if self.process is None:
            return row.thread.startswith("signals_plus")
        return row.pid != os.getpid()

    def kill(self, at_work: int) -> None:
        """Kill the worker, all that it has started, and the process that is at work for it."""
        if self.process is not None:
            self._is_killed = True
            processes.kill(self.process, at_work)

    def replace(self) -> None:
        """Start another worker where one was killed."""
        self._start()
        self._is_killed = False

    def catch_up(self, timeout: float, meanwhile: Callable[[], None] | None = None) -> None:
        """Return when the worker has run what was enqueued before, within ``timeout`` seconds.

        ``meanwhile`` is called again and again until then.

        Raises:
            DemoError: The queue did not take a task, the worker ended, or the time is over.
        """
        self._wait_for_mark(self.send_mark(), timeout, "ran a task", meanwhile)

    def wait_for(
        self,
        condition: Callable[[], bool],
        timeout: float,
        what: str,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        """Return when the condition is true, within ``timeout`` seconds.

        Raises:
            DemoError: The worker ended before, and nobody had killed it, or the time is over.
            Stopped: A signal has come.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            self.stopping.check()
            code = None if self.process is None else self.process.poll()
            if code is not None and not self._is_killed:
                raise self._error(f"The worker ended with exit code {code} before it {what}")
            if time.monotonic() > deadline:
                raise self._error(f"{timeout:.0f} seconds passed before the worker {what}")
            if meanwhile is not None:
                meanwhile()
            time.sleep(POLL)

    def send_mark(self) -> str:
        """Enqueue a task after those that are in the queue; ``has_run`` tells of it."""
        number = next(self._numbers)
        with _loudly():
            mark_sent.send(sender=None, number=number)
        return str(number)

    def has_run(self, mark: str) -> bool:
        """Tell whether a worker has come to a mark."""
        return any((row.who, row.text) == (MARK, mark) for row in self.trace.rows())

    def _wait_for_mark(
        self,
        number: str,
        timeout: float,
        what: str,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        self.wait_for(lambda: self.has_run(number), timeout, what, meanwhile)

    def _start(self) -> None:
        if command := self.queue.worker(settings.VAR):
            self.process = processes.start(command, self.folder, self.log)

    def _error(self, problem: str) -> DemoError:
        log = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        last = "\n".join(f"    {line}" for line in log[-5:])
        return DemoError(f"{problem}.\nThe end of its log, {self.log}:\n{last}")

    def _end(self) -> None:
        if self.process is not None:
            processes.end(self.process)
        self.queue.delete(settings.VAR)


@contextmanager
def _loudly() -> Iterator[None]:
    """Raise what is otherwise logged: that the queue did not take a task."""
    failed: list[Exception] = []

    def note(error: Exception, **kwargs: object) -> None:
        failed.append(error)

    enqueue_failed.connect(note)
    try:
        yield
    finally:
        enqueue_failed.disconnect(note)
    if failed:
        raise DemoError(f"The queue did not take a task. {failed[0]}") from failed[0]
