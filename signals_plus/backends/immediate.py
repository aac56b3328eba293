"""Run tasks where they are enqueued: for tests, and for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._in_process import Caller, InProcessBackend, Job
from ._options import Options
from .base import Refused, Task


class ImmediateBackend(InProcessBackend):
    """Run each task after the commit, in the thread that committed, before that goes on.

    As a worker would: from its payload, with its rows loaded, and without the caller's mutes. What
    a task enqueues runs when it has ended. ``sys.exit()`` in one ends the process, when all that
    wait have run: in the main thread the handler of a signal may have raised it.

    ``OPTIONS``:

    - ``raise_errors`` (default False): when all tasks have run, raise the first error; the others
      are logged. It leaves ``atomic()``, whose work is committed. By default all are logged.
    - ``ignore_unsupported`` (default False): accept ``queue_name=``, ``run_after=``,
      ``queue_priority=`` and the options of other queues, and ignore them.
    """

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        given = Options(alias, options, "raise_errors", "ignore_unsupported")
        self.raise_errors = given.flag("raise_errors", default=False)
        self.ignore_unsupported = given.flag("ignore_unsupported", default=False)
        self._caller = Caller()

    def enqueue(self, task: Task, payload: str) -> None:
        self.enqueue_many([(task, payload)])

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        jobs = [Job.of(task, payload) for task, payload in messages]
        if self.raise_errors:
            self._run_and_raise(jobs)
        else:
            self._caller.run(jobs)
        return []

    def _run_and_raise(self, jobs: Sequence[Job]) -> None:
        first: BaseException | None = None

        def run(job: Job) -> BaseException | None:
            nonlocal first
            error = job.run()
            if first is None:
                first = error
            elif error is not None:
                job.log(error)
            return error

        self._caller.run(jobs, run)
        if first is not None:
            raise first
