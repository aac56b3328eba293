"""What was enqueued, without a queue."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from asgiref.sync import sync_to_async

from .. import observing
from ..registry import registry
from .asserting import TaskAssertions
from .commits import refuse_running_loop, refuse_transaction, run_on_commit
from .enqueued import EnqueuedTask
from .helper import Visit
from .recording import Recorder


class capture_tasks(TaskAssertions, observing.Watcher):  # noqa: N801 - used like a function
    """Keep the tasks that are enqueued, instead of handing them to a queue.

    A sequence of what was enqueued, after the commit as always: a task of work that was rolled back
    is never in it. Inside a ``TestCase`` the block runs what waits for a commit, as
    ``run_on_commit`` does. No broker is asked, and no backend has to be configured or installed.
    Seen is what the current context enqueues. A block that begins again starts anew.

    ``run()`` runs what was enqueued as a worker would: from its payload, with its rows loaded and
    without the test's mutes. Works as context manager, ``async with`` in coroutines, and decorator
    of functions and test classes, which is of use with ``immediate=True`` only.

    Args:
        immediate: Run each task as soon as it is enqueued. What it raises is raised at the end of
            the block.
        all_threads: See every thread of the process; for live-server tests.

    Example::

        with capture_tasks() as tasks:
            order = Order.objects.create()
        tasks.assert_enqueued(print_label, instance=order, times=1)
        tasks.run()
    """

    described = "capture_tasks()"

    def __init__(self, *, immediate: bool = False, all_threads: bool = False) -> None:
        super().__init__()
        self.immediate = immediate
        self.all_threads = all_threads
        # What each thread that runs tasks at once has still to run.
        self._under_way: dict[int, list[EnqueuedTask]] = {}
        self.commits = run_on_commit()
        self.commits.all_threads = all_threads
        self.commits.described = self.described

    def _copy(self) -> capture_tasks:
        return capture_tasks(immediate=self.immediate, all_threads=self.all_threads)

    def _forget(self) -> None:
        super()._forget()
        self.commits._forget()

    def _begin(self) -> None:
        self.commits._begin()
        super()._begin()
        self._watch(signal for each in registry for signal in each.signals)
        observing.watch(self)

    def _end(self, error: BaseException | None) -> None:
        observing.unwatch(self)
        super()._end(error)
        try:
            if self.immediate:
                self._refuse_what_is_left()
        except Exception:
            # Whatever keeps it from looking: a broken transaction, a connection of another thread,
            # pytest-django. It is no news beside an error of the test or of a task.
            if error is None and not self.commits.errors:
                raise
        finally:
            self.commits._end(error)

    def _refuse_what_is_left(self) -> None:
        left = self._waiting.left()
        if left and self.commits.errors:
            self.commits.errors[0].add_note(left)
        elif left:
            self.commits.errors.append(AssertionError(left))

    def connected(self, receiver: Any) -> None:
        self._watch(receiver.signals)

    def written(self, messages: Sequence[Any]) -> None:
        if any(each is self for each in Recorder.scope):
            self._waiting.add(messages)

    def _enter_scope(self, visit: Visit) -> None:
        super()._enter_scope(visit)
        self.commits._enter_scope(Visit(self.commits))

    def _leave_scope(self) -> Visit:
        self.commits._leave_scope()
        return super()._leave_scope()

    def run(self) -> list[EnqueuedTask]:
        """Run what was enqueued and has not run yet, and what that enqueues; return all of it.

        When all have run, what one of them raised is raised; several as an ExceptionGroup.

        Raises:
            AssertionError: A message of a durable receiver waits in the outbox behind another one
                with its ``ordering_key``, that was there before the block or has failed.
            TransactionManagementError: The block has ended, and this is inside ``atomic()``, or in
                a coroutine: that is what ``arun`` is for.
        """
        with nullcontext() if self.is_on else self._resumed():
            ran = list(_run_all(self.enqueued))
            errors = [task.error for task in ran if task.error is not None]
            left = self._waiting.left()
            if left and not errors:
                raise AssertionError(left)
            if errors:
                error = errors[0] if len(errors) == 1 else BaseExceptionGroup("in tasks", errors)
                if left:
                    error.add_note(left)
                raise error
        return ran

    @contextmanager
    def _resumed(self) -> Iterator[None]:
        refuse_running_loop("run() is called", "await tasks.arun()")
        refuse_transaction(
            "run() is called",
            "what its tasks do would wait for that commit. Call it once atomic() has ended",
        )
        with super()._resumed():
            yield

    async def arun(self) -> list[EnqueuedTask]:
        """Do what ``run`` does, from a coroutine."""
        return await sync_to_async(self.run)()

    def _take(self, tasks: Sequence[EnqueuedTask]) -> None:
        self.enqueued += tasks
        if self.immediate:
            self._run_at_once(tasks)

    def _run_at_once(self, tasks: Sequence[EnqueuedTask]) -> None:
        thread = threading.get_ident()
        if thread in self._under_way:
            self._under_way[thread] += tasks  # the task that runs has enqueued them
            return
        waiting = self._under_way[thread] = [*tasks]
        try:
            for task in _run_all(waiting):
                if task.error is not None:
                    self.commits.errors.append(task.error)
        finally:
            del self._under_way[thread]


def _run_all(tasks: Sequence[EnqueuedTask]) -> Iterator[EnqueuedTask]:
    """Run those that have not run yet, and yield them. The list may grow meanwhile."""
    for task in tasks:
        if not task.has_run:
            task.run()
            yield task
