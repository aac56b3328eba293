"""A real worker as another process, ended whatever happens."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from config import queues
from django.conf import settings

from signals_plus.signals import enqueue_failed

from .receivers import MARK, mark_sent
from .rows import Row, Trace
from .stopping import Stopping

START_TIMEOUT = 15  # seconds
END_TIMEOUT = 10  # seconds
POLL = 0.01  # seconds between two looks at the trace


class DemoError(Exception):
    """The demo cannot go on."""


class Worker:
    """Start the worker, wait until it takes tasks, and end it at the end of the block.

    The worker has a process group of its own: a Ctrl-C in the terminal does not reach it, so that
    the demo alone ends it. With a queue that needs none, this process is the worker.
    """

    def __init__(self, folder: Path, log: Path, trace: Trace, stopping: Stopping) -> None:
        self.folder = folder
        self.log = log
        self.trace = trace
        self.stopping = stopping
        self.queue = queues.chosen()
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        # First of all: a queue that cannot be reached says why, which a worker's log hides.
        first = self._send_mark()
        # A signal between the start and the block that ends it would leave the worker behind.
        self.stopping.hold()
        if command := self.queue.worker(settings.VAR):
            self.process = self._start(command)
        try:
            self.stopping.release()
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

    def catch_up(self, timeout: float, meanwhile: Callable[[], None] | None = None) -> None:
        """Return when the worker has run what was enqueued before, within ``timeout`` seconds.

        ``meanwhile`` is called again and again until then.

        Raises:
            DemoError: The queue did not take a task, the worker ended, or the time is over.
        """
        self._wait_for_mark(self._send_mark(), timeout, "ran a task", meanwhile)

    def _send_mark(self) -> str:
        number = next(self._numbers)
        with _loudly():
            mark_sent.send(sender=None, number=number)
        return str(number)

    def _wait_for_mark(
        self,
        number: str,
        timeout: float,
        what: str,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        deadline = time.monotonic() + timeout
        while not any((row.who, row.text) == (MARK, number) for row in self.trace.rows()):
            self.stopping.check()
            if self.process is not None and (code := self.process.poll()) is not None:
                raise self._error(f"The worker ended with exit code {code} before it {what}")
            if time.monotonic() > deadline:
                raise self._error(f"{timeout:.0f} seconds passed before the worker {what}")
            if meanwhile is not None:
                meanwhile()
            time.sleep(POLL)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - a command of our own
                [sys.executable, "-m", "shop.demo.in_worker", *command],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _error(self, problem: str) -> DemoError:
        log = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        last = "\n".join(f"    {line}" for line in log[-5:])
        return DemoError(f"{problem}.\nThe end of its log, {self.log}:\n{last}")

    def _end(self) -> None:
        self.stopping.ignore()
        if self.process is not None:
            with self.process:
                for number in (signal.SIGTERM, signal.SIGKILL):
                    if self.process.poll() is not None:
                        break
                    # The worker alone is asked, and ends what it has started.
                    send = os.kill if number == signal.SIGTERM else os.killpg
                    send(self.process.pid, number)
                    with suppress(subprocess.TimeoutExpired):
                        self.process.wait(END_TIMEOUT)
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
