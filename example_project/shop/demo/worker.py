"""A real Celery worker as another process, ended whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from celery import current_app

from .in_worker import READY
from .rows import Row, Trace

START_TIMEOUT = 15  # seconds
END_TIMEOUT = 5  # seconds
POLL = 0.01  # seconds between two looks at the trace

COMMAND = "celery -A config worker --pool solo --loglevel INFO --include shop.demo.in_worker"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """The demo cannot go on."""


class Stopped(KeyboardInterrupt):
    """Somebody ended the demo: Ctrl-C, ``kill``, or the terminal was closed."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(number).name}.")
        self.returncode = 128 + number  # as shells report it


class Worker:
    """Start the worker, wait until it takes tasks, and end it at the end of the block.

    The worker has a process group of its own: a Ctrl-C in the terminal does not reach it, so that
    the demo alone ends it.
    """

    def __init__(self, folder: Path, log: Path, trace: Trace) -> None:
        self.folder = folder
        self.log = log
        self.trace = trace

    def __enter__(self) -> Self:
        _ask_broker()
        with self.log.open("wb") as log:
            name = f"{self.log.parent.name}@%h"
            self.process = subprocess.Popen(  # noqa: S603 - a command of our own
                [sys.executable, "-m", *COMMAND.split(), "--hostname", name],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
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

    def wait_for(self, seen: Callable[[Row], bool], timeout: float, what: str) -> None:
        """Wait until the trace has such a row, at most ``timeout`` seconds.

        Raises:
            DemoError: The worker ended, or the time is over.
        """
        deadline = time.monotonic() + timeout
        while not any(map(seen, self.trace.rows())):
            if _received:
                raise Stopped(_received[0])
            if (code := self.process.poll()) is not None:
                raise self._error(f"The Celery worker ended with exit code {code} before it {what}")
            if time.monotonic() > deadline:
                raise self._error(f"{timeout} seconds passed before the Celery worker {what}")
            time.sleep(POLL)

    def _is_ready(self, row: Row) -> bool:
        return row.who == READY and row.pid == self.pid

    def _error(self, problem: str) -> DemoError:
        log = self.log.read_text(errors="replace").splitlines()
        last = "\n".join(f"    {line}" for line in log[-5:])
        return DemoError(
            f"{problem}.\nIts broker: {broker()}\nThe end of its log, {self.log}:\n{last}"
        )

    def _end(self) -> None:
        for number in ENDING:
            # From here on it takes some seconds at most, and nothing must come in between.
            signal.signal(number, signal.SIG_IGN)
        with self.process:
            for number in (signal.SIGTERM, signal.SIGKILL):
                if self.process.poll() is not None:
                    break
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(END_TIMEOUT)
                except subprocess.TimeoutExpired:
                    continue


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


@contextmanager
def stopping() -> Iterator[None]:
    """Turn signals that would end this process into an exception, so that blocks are left."""
    heard = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, _stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# Kept, because the exception is lost when the signal comes inside a callback of SQLite's.
_received: list[int] = []


def _stop(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise Stopped(number)
