"""Threads of this process that run jobs, and what becomes of them at its end and at a fork.

# Note [The end of the process]
What is queued is run before the interpreter ends, for a limited time. The threads are daemons: for
others the interpreter waits without a limit. It is done by ``threading``'s own list of what to call
first, and not by ``atexit``: when that is called, the executors of ``concurrent.futures`` take no
more work, and asgiref needs one to run an ``async def`` receiver. The list is called from its end,
so what is put there after the executors' own is called before it. It is called, as ``atexit`` is
not, at the end of a process of ``multiprocessing`` too.

The children of Celery's worker call neither. They send a signal and end with ``os._exit``.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - see Note [The end of the process]
import logging
import os
import sys
import threading
import time
from collections import Counter, deque
from contextlib import ExitStack
from threading import Thread
from weakref import WeakSet

from django.db import close_old_connections, connections

from ._in_process import Job

logger = logging.getLogger("signals_plus")

# Seconds that threads without work are given to close their connections.
_LEAVING = 1.0


class ThreadPool:
    """Runs jobs in at most ``threads`` threads, which begin with the first job.

    ``queue_size``: how many jobs may wait. ``drain_timeout``: for how many seconds ``close`` does.
    """

    def __init__(self, name: str, threads: int, queue_size: int, drain_timeout: float) -> None:
        self.name = name
        self.threads = threads
        self.queue_size = queue_size
        self.drain_timeout = drain_timeout
        self.pid = os.getpid()
        self.begin()
        _pools.add(self)

    def begin(self) -> None:
        """Have no jobs and no threads; in a forked child, they are the parent's."""
        # Reentrant: a signal handler, or an object that is deleted, may enqueue at any moment.
        self._lock = threading.RLock()
        self._has_work = threading.Condition(self._lock)
        self._has_changed = threading.Condition(self._lock)
        self._waiting: deque[Job] = deque()
        self._running: dict[Thread, Job] = {}
        self._started: set[Thread] = set()
        self._idle = 0
        self._is_overrun = False
        self._is_closed = False

    def put(self, job: Job) -> bool:
        """Let a thread run the job. False: the caller has to."""
        with self._lock:
            if self._is_closed:
                return False
            problem = self._problem_of_taking(job)
            is_new = problem is not None and not self._is_overrun
            self._is_overrun |= problem is not None
        if is_new:
            logger.warning("%s: %s. Tasks run where they are enqueued", self.name, problem)
        return problem is None

    def close(self, since: float | None = None) -> None:
        """Wait for the jobs, those that they enqueue included, and end the threads.

        After ``drain_timeout``, counted from now or ``since`` a moment, the jobs that are left are
        logged and dropped. Those that run are not waited for any longer.
        """
        now = time.monotonic()
        left = self.drain_timeout - (now - (since or now))
        try:
            with self._lock:
                self._has_changed.wait_for(self._is_done, max(0, left))
        finally:  # Ctrl+C ends the waiting
            self._stop()

    def _stop(self) -> None:
        with self._lock:
            self._is_closed = True
            running = [job for thread, job in self._running.items() if thread is not _this()]
            left = [*running, *self._waiting]
            self._waiting.clear()
            leaving = self._started - self._running.keys()
            self._has_work.notify_all()
        if left:
            _log_lost(self.name, left, len(running), self.drain_timeout)
        for thread in leaving:
            thread.join(_LEAVING)

    def _is_done(self) -> bool:
        # A task that closes the pool does not wait for itself.
        return not self._waiting and not self._running.keys() - {_this()}

    def _problem_of_taking(self, job: Job) -> str | None:
        if len(self._waiting) >= self.queue_size:
            return f"{self.queue_size} tasks are waiting, which is all the room there is"
        self._waiting.append(job)
        self._start_thread()
        if not self._started:
            self._waiting.pop()
            return "no thread can be started"
        self._has_work.notify()
        return None

    def _start_thread(self) -> None:
        """Start a thread if there is work for it."""
        if len(self._waiting) <= self._idle or len(self._started) >= self.threads:
            return
        if not self._started:
            _drain_in_celery()
        try:
            thread = Thread(target=self._work, name=self.name, daemon=True)
            thread.start()
        except RuntimeError:  # the system has no more, or the interpreter is about to end
            return
        self._started.add(thread)

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                job.run_and_log()
                # As after a request. What is needed before one was done after the last.
                close_old_connections()
        finally:
            with self._lock:
                self._started.discard(_this())
                self._running.pop(_this(), None)
                self._start_thread()  # something ended this one that is no failure of a task
                self._has_changed.notify_all()
            connections.close_all()

    def _next(self) -> Job | None:
        """Return the next job, once there is one; None: the thread has to end."""
        job = self._take()
        if job is None:
            # Who has nothing to do holds no connection: it would keep a test's database from being
            # destroyed, and be dead when it is needed. CONN_MAX_AGE holds while there is work.
            connections.close_all()
            job = self._take(waits=True)
        return job

    def _take(self, *, waits: bool = False) -> Job | None:
        with self._lock:
            self._running.pop(_this(), None)
            self._has_changed.notify_all()
            while waits and not (self._waiting or self._is_closed):
                self._idle += 1
                self._has_work.wait()
                self._idle -= 1
            if not self._waiting:
                return None
            job = self._running[_this()] = self._waiting.popleft()
            self._is_overrun &= len(self._waiting) > self.queue_size // 2
            return job


def _this() -> Thread:
    return threading.current_thread()


def _log_lost(name: str, jobs: list[Job], running: int, seconds: float) -> None:
    counted = Counter(job.task.name for job in jobs)
    logger.error(
        "%s: after %g s, %d running and %d waiting tasks are lost: %s",
        name,
        seconds,
        running,
        len(jobs) - running,
        ", ".join(f"{task} ({count})" for task, count in sorted(counted.items())),
    )
    for job in jobs:
        # They hold the rows' keys, and what was deleted as it was: not for every log.
        logger.debug("Lost task %s: %s", job.task.name, job.payload)


_pools: WeakSet[ThreadPool] = WeakSet()


def _begin_all() -> None:
    for pool in list(_pools):
        pool.begin()


def _close_all() -> None:
    """Close all pools at the same time, so that the slowest says how long it takes."""
    now = time.monotonic()
    with ExitStack() as stack:
        for pool in list(_pools):
            if pool.pid == os.getpid():
                stack.callback(pool.close, since=now)


def _drain_in_celery() -> None:
    """Have the pools closed at the end of a worker's child. Where Celery is, it is imported."""
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(
            _end_of_child, weak=False, dispatch_uid="signals_plus.backends.thread"
        )


def _end_of_child(**kwargs: object) -> None:
    _close_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)
# See Note [The end of the process]. Where the list is gone, all but async receivers are drained.
getattr(threading, "_register_atexit", atexit.register)(_close_all)
