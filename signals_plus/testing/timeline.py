"""What happened to signals, in order: what a failing assertion shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.dispatch import Signal

from .. import contexts, events, live, naming, observing
from ..coalescing import Change
from . import transactions
from .names import cut, shown, shown_row, signal_name
from .steps import Scheduled, Step, coalesce

_SKIPPED = {
    "raw": "it has raw=False, and a fixture was being loaded",
    "when": "its when= said no",
    "recursion": "its own work caused the event again",
}


class SentSignal:
    """One sending of one signal, as it was when it was sent.

    ``kwargs`` holds the arguments without signal and sender, rows as copies. ``depth`` counts the
    ``atomic()`` blocks around it on the database ``using``, those of a test case left out.
    ``parent`` is the sending during which it was sent, if that was captured too; ``called`` the
    receivers that ran, unless one of them raised ``error``; ``muted`` those that did not, because
    of ``mute_signals``.
    """

    def __init__(
        self, signal: Signal, sender: Any, arguments: Mapping[str, Any], parent: SentSignal | None
    ) -> None:
        self.signal = signal
        self.sender = sender
        # Signals may be sent where there are no settings, and so no databases.
        self._has_databases = settings.configured
        self.using = (
            events.wait_alias(None, sender, arguments) if self._has_databases else DEFAULT_DB_ALIAS
        )
        self.originals = arguments
        self.kwargs: Mapping[str, Any] = events.capture(
            signal, sender, arguments, using=self.using, chain=()
        ).kwargs
        self.depth = transactions.depth(connections[self.using]) if self._has_databases else 0
        self.parent = parent
        # What was connected, as the signal has it, and what that raised where send_robust kept it.
        self.ran: list[tuple[Any, Exception | None]] = []
        self.left_out = live.muted(signal, sender)
        self.error: Exception | None = None
        self.steps: list[Step] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> SentSignal:
        # Rows are the test's own, as everywhere in setUpTestData. What else there is may be one of
        # a kind, as signals and senders are.
        copied = copy(self)
        copied.parent = deepcopy(self.parent, memo)
        copied.kwargs = {
            name: deepcopy(value, memo) if isinstance(value, models.Model) else value
            for name, value in self.kwargs.items()
        }
        return copied

    @property
    def instance(self) -> Any:
        """The row it was about; None if the signal has no ``instance``."""
        return self.kwargs.get("instance")

    @property
    def called(self) -> list[Any]:
        """The functions that ran."""
        return [live.function_of(each) for each, _ in self.ran]

    @property
    def muted(self) -> list[Any]:
        """The functions that would have run without ``mute_signals``."""
        return [live.function_of(each) for each in self.left_out]

    def __repr__(self) -> str:
        arguments = [
            f"{name}={shown(value)}"
            for name, value in self.kwargs.items()
            if name not in ("instance", "raw", "using")
            or (name == "raw" and value)
            or (name == "using" and value != self.using)
        ]
        row = f" {shown_row(self.instance)}" if self.instance is not None else ""
        about = f"from {shown(self.sender)}{row}"
        return " ".join([f"{signal_name(self.signal)} {about}:", *arguments, *self._where()])

    def _where(self) -> Iterator[str]:
        if self._has_databases:
            depth = f"{self.depth} deep in atomic()" if self.depth else "outside of atomic()"
            yield f"(on {self.using!r}, {depth})"


# The sendings that are under way, the innermost last.
_NOTHING: tuple[tuple[Timeline, SentSignal], ...] = ()
_under_way = contexts.shared("signals_plus_under_way", _NOTHING)


class Timeline(observing.Watcher):
    """The sendings that one helper saw, and what became of them."""

    def __init__(self) -> None:
        self.sent: list[SentSignal] = []
        # By the identity of the item, or of what stands for several: the steps hold these.
        self._scheduled: dict[int, list[Scheduled]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Timeline:
        copied = Timeline()
        copied.sent = deepcopy(self.sent, memo)
        copied._scheduled = {**self._scheduled}
        return copied

    @contextmanager
    def sending(
        self, signal: Signal, sender: Any, arguments: Mapping[str, Any]
    ) -> Iterator[SentSignal]:
        """Note a sending for as long as it lasts."""
        sent = SentSignal(signal, sender, arguments, self._current())
        self.sent.append(sent)
        before = _under_way.get()
        _under_way.set((*before, (self, sent)))
        try:
            yield sent
        except Exception as error:
            sent.error = error
            raise
        finally:
            _under_way.set(before)

    def skipped(self, receiver: Any, option: str) -> None:
        if sent := self._current():
            created = receiver.options.created
            why = _SKIPPED.get(option, f"it has created={created}, and {not created} was sent")
            sent.steps.append(Step(f"skipped, since {why}", receiver.name))

    def scheduled(self, delivery: Any, item: Any, using: str) -> None:
        if sent := self._current():
            # A message of a task, one that goes to the outbox first, or an event.
            about = getattr(item, "message", item)
            name = about.task.name if hasattr(about, "task") else delivery.name
            options = getattr(delivery, "options", None)  # what goes to a queue has a message's
            coalesces = options is not None and options.coalesce
            change = Change.of(sent.signal, sent.originals) if coalesces else None
            step = Scheduled(name, item, using, change)
            self._scheduled[id(item)] = [step]
            sent.steps.append(step)

    def replaced(self, items: Sequence[Any], by: Sequence[Any]) -> None:
        steps = self._steps_of(items)
        coalesce(steps)
        for step in steps:
            step.written = by
        self._scheduled.update((id(each), steps) for each in by if steps)

    def committed(self, items: Sequence[Any]) -> None:
        for step in self._steps_of(items):
            step.is_committed = True

    def delivered(self, items: Sequence[Any]) -> None:
        delivered = self._steps_of(items)
        coalesce(delivered)
        for step in delivered:
            step.is_delivered = True

    def __str__(self) -> str:
        return self.about(())

    def about(self, these: Iterable[SentSignal]) -> str:
        """Tell what happened, and of a long story these and both ends."""
        if not self.sent:
            return "Nothing was sent."
        keep = {id(sent) for sent in these}
        numbers = {index for index, sent in enumerate(self.sent) if id(sent) in keep}
        told = (
            each if isinstance(each, str) else self._told(*each)
            for each in cut([*enumerate(self.sent, 1)], numbers)
        )
        return "\n".join(["What happened:", *told])

    def _told(self, number: int, sent: SentSignal) -> str:
        indent = "    " * _level(sent)
        steps = [f"{indent}        -> {step}" for step in _story(sent)]
        return "\n".join([f"{indent}{number:4}. {sent!r}", *steps])

    def number(self, sent: SentSignal) -> int:
        return self.sent.index(sent) + 1

    def steps(self, receiver: str) -> list[tuple[SentSignal, Step]]:
        """Return what one receiver did."""
        return [
            (sent, step) for sent in self.sent for step in sent.steps if step.receiver == receiver
        ]

    def _steps_of(self, items: Sequence[Any]) -> list[Scheduled]:
        """Return the steps of items, each once: a thousand may be a thousand messages."""
        lists = {id(steps): steps for item in items if (steps := self._scheduled.get(id(item)))}
        return [step for steps in lists.values() for step in steps]

    def _current(self) -> SentSignal | None:
        ours = [sent for timeline, sent in _under_way.get() if timeline is self]
        return ours[-1] if ours else None


def _story(sent: SentSignal) -> Iterator[str]:
    for receiver in sent.left_out:
        yield f"{_name(receiver)}: muted by mute_signals()"
    told = {step.receiver for step in sent.steps}
    for receiver, error in sent.ran:
        if error is not None:
            yield f"{_name(receiver)}: raised {error!r}"
        elif _name(receiver) not in told:
            yield f"{_name(receiver)}: called"
    yield from map(str, sent.steps)
    if sent.error is not None:
        yield f"raised {sent.error!r}"


def _name(receiver: Any) -> str:
    ours = live.ours(receiver)
    return naming.dotted_name(receiver) if ours is None else str(ours.name)


def _level(sent: SentSignal) -> int:
    return 0 if sent.parent is None else 1 + _level(sent.parent)
