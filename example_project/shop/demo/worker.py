"""A real Celery worker as another process, ended whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from celery import current_app

from .in_worker import READY
from .rows import Row, Trace
from .stopping import Stopping

START_TIMEOUT = 15  # seconds
END_TIMEOUT = 5  # seconds
POLL = 0.01  # seconds between two looks at the trace

COMMAND = "celery -A config worker --pool solo --loglevel INFO --include shop.demo.in_worker"


class DemoError(Exception):
    """The demo cannot go on."""


class Worker:
    """Start the worker, wait until it takes tasks, and end it at the end of the block.

    The worker has a process group of its own: a Ctrl-C in the terminal does not reach it, so that
    the demo alone ends it.
    """

    def __init__(self, folder: Path, log: Path, trace: Trace, stopping: Stopping) -> None:
        self.folder = folder
        self.log = log
        self.trace = trace
        self.stopping = stopping

    def __enter__(self) -> Self:
        _ask_broker()
        # A signal between the start and the block that ends it would leave the worker behind.
        self.stopping.hold()
        self.process = self._start()
        try:
            self.stopping.release()
            self.wait_for(self._is_ready, START_TIMEOUT, "was ready")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for(
        self,
        seen: Callable[[Row], bool],
        timeout: float,
        what: str,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        """Wait until the trace has such a row, at most ``timeout`` seconds.

        ``meanwhile`` is called again and again until then.

        Raises:
            DemoError: The worker ended, or the time is over.
        """
        deadline = time.monotonic() + timeout
        while not any(map(seen, self.trace.rows())):
            self.stopping.check()
            if (code := self.process.poll()) is not None:
                raise self._error(f"The Celery worker ended with exit code {code} before it {what}")
            if time.monotonic() > deadline:
                raise self._error(f"{timeout:.0f} seconds passed before the Celery worker {what}")
            if meanwhile is not None:
                meanwhile()
            time.sleep(POLL)

    def _start(self) -> subprocess.Popen[bytes]:
        name = f"{self.log.parent.name}@%h"
        with self.log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - a command of our own
                [sys.executable, "-m", *COMMAND.split(), "--hostname", name],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _is_ready(self, row: Row) -> bool:
        return row.who == READY and row.pid == self.pid

    def _error(self, problem: str) -> DemoError:
        log = self.log.read_text(errors="replace").splitlines()
        last = "\n".join(f"    {line}" for line in log[-5:])
        return DemoError(
            f"{problem}.\nIts broker: {broker()}\nThe end of its log, {self.log}:\n{last}"
        )

    def _end(self) -> None:
        self.stopping.ignore()
        with self.process:
            for number in (signal.SIGTERM, signal.SIGKILL):
                if self.process.poll() is not None:
                    break
                os.killpg(self.process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(END_TIMEOUT)


def _ask_broker() -> None:
    """Raise if the broker does not answer, with a reason that a worker's log hides."""
    try:
        with current_app.connection_for_write(connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
    except Exception as error:  # each transport has errors of its own
        raise DemoError(f"The broker {broker()} does not answer: {error}") from error


def broker() -> str:
    """Return the broker's address, without its password."""
    return str(current_app.connection_for_write().as_uri())
