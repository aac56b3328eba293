"""What is committed and waits in the outbox: for another message with its key, or for its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from ..outbox.states import DEAD
from ..registry import registry
from .enqueued import EnqueuedTask, first_message
from .names import cut


class WaitingTask(EnqueuedTask):
    """A task of a durable receiver that no queue has yet.

    ``behind`` is the message of the outbox that is first, if there is one.
    """

    def __init__(self, written: Any) -> None:
        options = registry[written.task.name].options
        super().__init__(written.task, written.payload, options.backend)
        self.using = written.using
        self.run_after = options.run_after
        self.look()

    def look(self) -> None:
        """Look into the outbox whether it waits still, and for what."""
        row = first_message(self.using, message_id=self.message_id)
        self.is_there = row is not None
        self.behind: Any = None
        if row is not None and row.ordering_key is not None:
            self.behind = first_message(
                self.using, receiver=row.receiver, ordering_key=row.ordering_key, id__lt=row.pk
            )


class WaitingTasks:
    """The tasks of one block that wait, without those that were enqueued after all."""

    def __init__(self, enqueued: list[EnqueuedTask]) -> None:
        self.enqueued = enqueued
        self._all: list[WaitingTask] = []

    def copied(self, enqueued: list[EnqueuedTask], memo: dict[int, Any]) -> WaitingTasks:
        """Return a copy, for a copy of what was enqueued."""
        copied = WaitingTasks(enqueued)
        copied._all = deepcopy(self._all, memo)
        return copied

    def __iter__(self) -> Iterator[WaitingTask]:
        captured = {task.message_id for task in self.enqueued}
        return (each for each in self._all if each.is_there and each.message_id not in captured)

    def add(self, written: Iterable[Any]) -> None:
        """Keep those of these messages that were not enqueued."""
        captured = {task.message_id for task in self.enqueued}
        self._all += [WaitingTask(each) for each in written if each.message_id not in captured]

    def left(self) -> str:
        """Look again, and say which wait for others with their key; nothing, if none does."""
        for each in self:
            each.look()
        return "\n".join(cut([f"Left: {self.why(each)}" for each in self if not each.run_after]))

    def why(self, task: WaitingTask) -> str:
        """Say what a task waits for, and what to do."""
        waits = f"{task!r} waits in the outbox"
        if task.run_after:
            return (
                f"{waits} until its run_after=, {task.run_after}, is over; then the relay "
                "enqueues it, which no block sees. To test its work, call the function."
            )
        if task.behind is None:
            return f"{waits} for the relay, which no block sees. Nothing is before it now."
        first, advice = self._what_is_first(task.behind)
        key = task.behind.ordering_key
        return f"{waits} behind {first}, which has the same ordering key, {key!r}. {advice}"

    def _what_is_first(self, behind: Any) -> tuple[str, str]:
        for number, task in enumerate(self.enqueued, 1):
            if task.message_id == behind.message_id:
                return f"task {number} of this block", _advice(task)
        if behind.status == DEAD:
            advice = "It is dead: requeue it, or delete its row, and those behind it go on."
        else:
            advice = (
                "It was there before the block, and no worker does it: write what saves its row "
                "inside capture_tasks(immediate=True), or under mute_signals()."
            )
        return f"message {behind.message_id}", advice


def _advice(first: EnqueuedTask) -> str:
    if first.error is None:
        return "run() runs that one, and then enqueues this one."
    return f"It has raised {first.error!r}, and has to be done before this one runs."
