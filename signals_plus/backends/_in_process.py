"""What the backends have in common whose tasks stay in the process."""

from __future__ import annotations

import logging
import os
import threading
import time
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import NamedTuple

from .. import contexts, observing
from .base import BaseBackend, Task

logger = logging.getLogger("signals_plus")

# How a task fails without concerning whoever runs it: sys.exit() in a receiver ends its task, and
# an async receiver may be cancelled by what it waits for. Ctrl+C is for the process.
FAILURES = (Exception, SystemExit, CancelledError)


class Job(NamedTuple):
    """One payload to run, and the context to run it in."""

    task: Task
    payload: str
    context: Context

    @classmethod
    def of(cls, task: Task, payload: str) -> Job:
        """Return the job, with what is in the context now and is not the package's own."""
        return cls(task, payload, contexts.for_new_work())

    def run(self) -> BaseException | None:
        """Run the task; return how it failed."""
        started = time.monotonic()
        try:
            self.context.run(self.task.run, self.payload)
        except FAILURES as error:
            return error
        logger.info("Task %s ran in %.3f s", self.task.name, time.monotonic() - started)
        return None

    def run_and_log(self) -> BaseException | None:
        """Run the task; log and return how it failed."""
        error = self.run()
        if error is not None:
            self.log(error)
        return error

    def log(self, error: BaseException) -> None:
        """Log how the task failed."""
        # In the context of those who enqueued it: they may watch from another thread.
        self.context.run(observing.failed, self.task.name, error)
        logger.error("Task %s failed: %r", self.task.name, error, exc_info=error)


class Caller(threading.local):
    """Runs jobs in the thread that enqueues them.

    A job that is enqueued by one that runs here waits until that one has ended, as in a queue: a
    chain of tasks does not grow on Python's stack.
    """

    def __init__(self) -> None:
        # By process: a job that forks one does not go on there.
        self._waiting: dict[int, deque[Job]] = {}

    def run(
        self,
        jobs: Iterable[Job],
        call: Callable[[Job], BaseException | None] = Job.run_and_log,
    ) -> None:
        """Call ``call`` for each job, one after the other, and for those that they enqueue.

        Raises:
            SystemExit: One has, in the main thread. There the handler of a signal may have raised
                it, which asks the process to end; what is committed runs before.
        """
        pid = os.getpid()
        if pid in self._waiting:
            self._waiting[pid].extend(jobs)
            return
        self._waiting[pid] = waiting = deque(jobs)
        leaving: SystemExit | None = None
        try:
            while waiting:
                error = call(waiting.popleft())
                if leaving is None and isinstance(error, SystemExit):
                    leaving = error
        finally:
            del self._waiting[pid]
        if leaving is not None and threading.current_thread() is threading.main_thread():
            raise leaving


class InProcessBackend(BaseBackend):
    """A backend that may be told to take the receivers that are written for another queue."""

    ignore_unsupported = False
    has_workers = False

    def refuse_unsupported(self, task: Task) -> None:
        if not self.ignore_unsupported:
            super().refuse_unsupported(task)
