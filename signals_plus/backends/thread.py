"""Threads of the process itself: for development, and for small sites."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from ._in_process import Caller, InProcessBackend, Job
from ._options import Options
from ._thread_pool import ThreadPool
from .base import Task


class ThreadBackend(InProcessBackend):
    """Run task receivers in threads of the process that enqueues them.

    A task that the process does not live to run is lost: killed, crashed, ended by a signal as
    uvicorn's, or with ``os._exit``. At a normal end it waits for what is queued and what runs.

    The context of whoever enqueues follows the task (trace ids); its mutes, its transaction and its
    active language do not. Each thread has database connections of its own, which are closed when
    it has nothing to do. A forked process begins with an empty queue.

    A receiver that raises is logged with its traceback. ``sys.exit()`` in one ends its task only,
    but where it runs in the main thread for want of room.

    ``OPTIONS``:

    - ``threads`` (default 1): how many tasks run at a time. With one, in the order in which they
      were enqueued. None is started before there is a task.
    - ``queue_size`` (default 1000): how many tasks may wait. Further ones run at once, in the
      thread that enqueues them, after its commit; a warning is logged when that begins.
    - ``drain_timeout``, seconds (default 10): how long the end of the process, and ``close``, wait
      for the tasks. Then their names are logged as an error, their payloads at level DEBUG.
    - ``ignore_unsupported`` (default False): accept ``queue_name=``, ``run_after=``,
      ``queue_priority=`` and the options of other queues, and ignore them.
    """

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        given = Options(
            alias, options, "threads", "queue_size", "drain_timeout", "ignore_unsupported"
        )
        self.ignore_unsupported = given.flag("ignore_unsupported", default=False)
        self._caller = Caller()
        # By process: uWSGI's forks call none of Python's hooks, and a child has no threads.
        self._pools: dict[int, ThreadPool] = {}
        self._make_pool = partial(
            ThreadPool,
            f"signals_plus backend {alias!r}",
            threads=given.count("threads", default=1),
            queue_size=given.count("queue_size", default=1000),
            drain_timeout=given.seconds("drain_timeout", default=10),
        )

    def enqueue(self, task: Task, payload: str) -> None:
        """Let a thread run the task; the calling one, if no more may wait. Raises nothing."""
        job = Job.of(task, payload)
        if not self._pool.put(job):
            self._caller.run([job])

    def close(self) -> None:
        """Wait for the tasks for ``drain_timeout`` seconds, and end the threads."""
        self._pool.close()

    @property
    def _pool(self) -> ThreadPool:
        pid = os.getpid()
        return self._pools.get(pid) or self._pools.setdefault(pid, self._make_pool())
