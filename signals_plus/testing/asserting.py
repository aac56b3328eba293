"""What a test asks of the tasks that were enqueued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from ..registry import registry
from . import hints, matching
from .enqueued import EnqueuedTask, WantedTask
from .matching import WantedSenders
from .names import MAX_LINES, cut
from .stand_in import TaskRecorder
from .timeline import SentSignal
from .waiting import WaitingTasks

TASK_OPTIONS = frozenset({"queue_name", "queue_priority", "run_after", "backend", "options"})


class TaskAssertions(TaskRecorder, Sequence[EnqueuedTask]):
    """The tasks of a block, and the assertions about them."""

    def __init__(self) -> None:
        super().__init__()
        self._keep_nothing()

    def _keep_nothing(self) -> None:
        self.enqueued: list[EnqueuedTask] = []
        self._waiting = WaitingTasks(self.enqueued)

    def _forget(self) -> None:
        super()._forget()
        self._keep_nothing()

    def _remember(self, other: Any, memo: dict[int, Any]) -> None:
        super()._remember(other, memo)
        self.enqueued = deepcopy(other.enqueued, memo)
        self._waiting = other._waiting.copied(self.enqueued, memo)

    def __len__(self) -> int:
        return len(self.enqueued)

    def __getitem__(self, index: Any) -> Any:
        return self.enqueued[index]

    def of(self, receiver: Any, *, sender: Any = None, **arguments: Any) -> list[EnqueuedTask]:
        """Return the tasks of a receiver that ``assert_enqueued`` would count."""
        return self._found(self._wanted(receiver, sender, arguments))

    def assert_enqueued(
        self, receiver: Any, *, sender: Any = None, times: int | None = None, **arguments: Any
    ) -> None:
        """Fail unless the receiver was enqueued like this.

        Args:
            receiver: The function as it was decorated, or the name of the task.
            sender: A sender, or ``"app_label.Model"``; a list: one of them. None: any.
            times: How many tasks; None: at least one.
            arguments: ``queue_name``, ``queue_priority``, ``run_after``, ``backend`` and
                ``options`` are those of the task, everything else are arguments of the signal. Rows
                are compared by their keys, values by ``==``; an event of a batch is enough.
        """
        wanted = self._wanted(receiver, sender, arguments)
        if times == 0:
            self._refuse_what_never_is(wanted)
        found = self._found(wanted)
        if not found if times is None else len(found) != times:
            raise AssertionError(self._not_as_often(wanted, times, found))

    def assert_not_enqueued(self, receiver: Any, *, sender: Any = None, **arguments: Any) -> None:
        """Fail if the receiver was enqueued like this.

        It fails for what waits in the outbox and is enqueued later, too, and for what can never be
        enqueued: an argument that its signals do not have, a row without a key.
        """
        wanted = self._wanted(receiver, sender, arguments)
        self._refuse_what_never_is(wanted)
        if found := self._found(wanted):
            raise AssertionError(
                f"{wanted} was not to be enqueued, but {matching.times(len(found))} it was."
                f"\n\n{self._about(found[:MAX_LINES], arguments.get('instance'))}"
            )
        self._refuse_waiting(f"{wanted} was not", wanted)

    def assert_nothing_enqueued(self) -> None:
        """Fail if any task was enqueued, or waits in the outbox and is enqueued later."""
        if self.enqueued:
            raise AssertionError(f"Nothing was to be enqueued.\n\n{self}")
        self._refuse_waiting("Nothing was")

    def __str__(self) -> str:
        return self._about()

    def _about(self, tasks: Sequence[EnqueuedTask] = (), instance: Any = None) -> str:
        """Tell what there is, and of much of it these tasks, what concerns a row and both ends."""
        keep = {id(task) for task in tasks}
        numbers = [number for number, task in enumerate(self.enqueued) if id(task) in keep]
        enqueued = [*cut([f"{number:4}. {task!r}" for number, task in enumerate(self, 1)], numbers)]
        parts = ["\n".join(["Enqueued:", *enqueued]) if enqueued else "Nothing was enqueued."]
        if waiting := [f"      {task!r}" for task in self._waiting]:
            parts.append("\n".join(["Waiting in the outbox:", *cut(waiting)]))
        rows = [] if instance is None else self._sent_with(instance)
        return "\n\n".join([*parts, self.timeline.about(rows[:MAX_LINES])])

    def _sent_with(self, instance: Any) -> list[SentSignal]:
        return [sent for sent in self.timeline.sent if matching.same(sent.instance, instance)]

    def _wanted(self, receiver: Any, sender: Any, arguments: Mapping[str, Any]) -> WantedTask:
        options = {name: value for name, value in arguments.items() if name in TASK_OPTIONS}
        others = {name: value for name, value in arguments.items() if name not in TASK_OPTIONS}
        known = _receivers(receiver)
        if not (known or any(receiver in (task.name, task.receiver) for task in self)):
            raise AssertionError(hints.for_no_receiver(receiver, [each.name for each in registry]))
        signals = {signal for each in known for signal in each.signals}
        senders = WantedSenders.of(sender, signals)
        heard = [each for receiver in known for each in receiver.senders]
        matching.refuse_what_is_no_row(others, signals, senders.named or heard)
        return WantedTask(receiver, senders, options, others)

    def _refuse_what_never_is(self, wanted: WantedTask) -> None:
        for problem in hints.without_key(wanted.arguments):
            raise AssertionError(problem)
        signals = {signal for each in _receivers(wanted.receiver) for signal in each.signals}
        matching.refuse_unknown_arguments(
            wanted.arguments, signals, self.timeline.sent, TASK_OPTIONS
        )

    def _found(self, wanted: WantedTask) -> list[EnqueuedTask]:
        return [task for task in self if wanted.is_for(task) and not wanted.differences(task)]

    def _waiting_for(self, wanted: WantedTask | None) -> list[str]:
        """Say what those wait for that an assertion is about."""
        return [
            self._waiting.why(task)
            for task in self._waiting
            if wanted is None or (wanted.is_for(task) and not wanted.differences(task))
        ]

    def _refuse_waiting(self, nobody: str, wanted: WantedTask | None = None) -> None:
        if waiting := self._waiting_for(wanted):
            reasons = "\n".join(cut(waiting))
            raise AssertionError(
                f"{nobody} to be enqueued, and it will be later.\n{reasons}\n\n{self}"
            )

    def _not_as_often(
        self, wanted: WantedTask, times: int | None, found: list[EnqueuedTask]
    ) -> str:
        if times is None:
            parts = [f"{wanted} was not enqueued."]
        else:
            often = matching.times(len(found))
            parts = [f"{wanted} was enqueued {often}, not {matching.times(times)}."]
        about = found[:MAX_LINES]
        too_few = len(found) < (1 if times is None else times)
        if too_few and (waiting := self._waiting_for(wanted)):
            parts += cut([f"Hint: {each}" for each in waiting])
        elif not found and (near := wanted.nearest(self)):
            task, differences = near
            about = [task]
            number = self.enqueued.index(task) + 1
            parts.append(f"Nearest: {number}, where {' and '.join(differences)}.")
        elif not found:
            for receiver in _receivers(wanted.receiver):
                parts += hints.for_task(receiver, self.timeline)
        if not found:
            parts += hints.for_rows(wanted.arguments)
        return "\n".join(parts) + f"\n\n{self._about(about, wanted.arguments.get('instance'))}"


def _receivers(wanted: Any) -> list[Any]:
    return [each for each in registry if wanted in (each.name, each.function)]
