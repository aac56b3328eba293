"""What was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.dispatch import Signal

from ..exceptions import InvalidReceiverError
from . import hints, matching
from .matching import Wanted, WantedSenders
from .names import MAX_LINES, shown, signal_name
from .recording import Recorder
from .timeline import SentSignal


class capture_signals(Recorder, Sequence[SentSignal]):  # noqa: N801 - used like a function
    """Keep what these signals send, in order, and ask about it afterwards.

    A sequence of what was sent. Seen is everything that the current context sends: with receivers
    or without, muted or not, and also what Django does not send unless somebody listens. Other
    threads are not, asyncio tasks started in the block are. A block that begins again starts anew.

    Works as context manager and as decorator of functions and test classes, which is of use with
    ``mute=True`` only.

    Args:
        signals: The signals to watch, at least one.
        mute: Let no receiver run: what is sent is kept, and that is all.
        all_threads: See every thread of the process; for live-server tests.

    Raises:
        InvalidReceiverError: No signal was named, or something that is none.

    Example::

        with capture_signals(post_save) as sent:
            Order.objects.create()
        sent.assert_sent(post_save, sender=Order, times=1, created=True)
    """

    described = "capture_signals(...)"
    makes_django_send = True

    def __init__(self, *signals: Signal, mute: bool = False, all_threads: bool = False) -> None:
        super().__init__()
        _refuse_what_captures_nothing(signals)
        self.signals = signals
        self.mute = mute
        self.all_threads = all_threads

    def _copy(self) -> capture_signals:
        return capture_signals(*self.signals, mute=self.mute, all_threads=self.all_threads)

    def __len__(self) -> int:
        return len(self.timeline.sent)

    def __getitem__(self, index: Any) -> Any:
        return self.timeline.sent[index]

    def of(self, signal: Signal, *, sender: Any = None, **arguments: Any) -> list[SentSignal]:
        """Return the sendings of a signal that have this sender and these arguments."""
        wanted = self._wanted(signal, sender, arguments)
        return [sent for sent in self if not wanted.differences(sent)]

    def assert_sent(
        self, signal: Signal, *, sender: Any = None, times: int | None = None, **arguments: Any
    ) -> None:
        """Fail unless the signal was sent like this.

        Args:
            signal: One of the captured signals.
            sender: A sender, or ``"app_label.Model"``; a list: one of them. None: any.
            times: How often; None: at least once.
            arguments: Arguments of the signal and what they are to be. Rows are compared as rows.
        """
        wanted = self._wanted(signal, sender, arguments)
        if times == 0:
            matching.refuse_unknown_arguments(arguments, [signal], self.timeline.sent)
        found = [sent for sent in self if not wanted.differences(sent)]
        if not found if times is None else len(found) != times:
            raise AssertionError(self._not_as_often(wanted, times, found))

    def assert_not_sent(
        self, signal: Signal | None = None, *, sender: Any = None, **arguments: Any
    ) -> None:
        """Fail if the signal was sent like this; without a signal, if anything was sent.

        It fails for an argument that the signal never has, too.
        """
        if signal is None:
            found, what = list(self), "Nothing"
        else:
            wanted = self._wanted(signal, sender, arguments)
            matching.refuse_unknown_arguments(arguments, [signal], self.timeline.sent)
            found = [sent for sent in self if not wanted.differences(sent)]
            what = f"No {wanted}"
        if found:
            raise AssertionError(
                f"{what} was to be sent, but {matching.times(len(found))} it was: "
                f"{self._numbers(found)}.\n\n{self.timeline.about(found[:MAX_LINES])}"
            )

    def assert_order(self, *expected: Signal | tuple[Signal, Any]) -> None:
        """Fail unless these were sent one after the other. Others may lie between them.

        Args:
            expected: Signals, or pairs of a signal and a sender.
        """
        if not expected:
            raise AssertionError(
                "assert_order() names no signal. Write them in order: "
                "assert_order(pre_save, post_save)."
            )
        wanted = [self._wanted(*_pair(each), {}) for each in expected]
        left = iter(self)
        for place, each in enumerate(wanted):
            if all(each.differences(sent) for sent in left):
                before = f" after {wanted[place - 1]}" if place else ""
                raise AssertionError(f"No {each} was sent{before}.\n\n{self.timeline}")

    def _wanted(self, signal: Signal, sender: Any, arguments: Mapping[str, Any]) -> Wanted:
        if not any(signal is captured for captured in self.signals):
            captured = ", ".join(map(signal_name, self.signals))
            raise AssertionError(
                f"{shown(signal) if not isinstance(signal, Signal) else signal_name(signal)} was "
                f"not captured: the block names {captured}. Name it there too."
            )
        senders = WantedSenders.of(sender, [signal])
        matching.refuse_what_is_no_row(arguments, [signal], senders.named)
        return Wanted(signal, senders, arguments)

    def _not_as_often(self, wanted: Wanted, times: int | None, found: Sequence[SentSignal]) -> str:
        if times is None:
            text = f"{wanted} was not sent."
        else:
            text = f"{wanted} was sent {matching.times(len(found))}, not {matching.times(times)}"
            text += f": {self._numbers(found)}." if found else "."
        parts = [text]
        about = [*found[:MAX_LINES]]
        if not found and (near := wanted.nearest(self)):
            sent, differences = near
            about = [sent]
            parts.append(
                f"Nearest: {self.timeline.number(sent)}, where {' and '.join(differences)}."
            )
        parts += hints.for_signal(wanted, self, found=bool(found))
        return "\n".join(parts) + f"\n\n{self.timeline.about(about)}"

    def _numbers(self, found: Sequence[SentSignal]) -> str:
        return ", ".join(str(self.timeline.number(sent)) for sent in found)


def _pair(expected: Any) -> tuple[Any, Any]:
    if not isinstance(expected, tuple):
        return expected, None
    if len(expected) != 2:
        raise AssertionError(
            f"{shown(expected)} is no pair of a signal and a sender. Write signals and pairs: "
            "assert_order(pre_save, (post_save, Order))."
        )
    return expected


def _refuse_what_captures_nothing(signals: Sequence[Any]) -> None:
    if not signals:
        raise InvalidReceiverError(
            "capture_signals()",
            "names no signal",
            "Name those to capture: capture_signals(post_save).",
        )
    for signal in signals:
        if not isinstance(signal, Signal):
            raise InvalidReceiverError(
                "capture_signals()",
                f"was given {signal!r} as a signal",
                "Name signals, and the sender where you ask: capture_signals(post_save), then "
                f"assert_sent(post_save, sender={getattr(signal, '__name__', 'Order')}).",
            )
