"""How helpers see what is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from typing import Any, Self

from django.dispatch import Signal

from .. import _compat, observing
from .helper import Helper, Scope, lock
from .timeline import Timeline


class Recorder(Helper):
    """A helper with a timeline of what these signals send."""

    scope: Scope[Recorder] = Scope("signals_plus_recorders")
    signals: Sequence[Signal] = ()
    #: Let no receiver run.
    mute = False
    #: Django leaves some signals out where nobody listens. Send them.
    makes_django_send = False

    def __init__(self) -> None:
        super().__init__()
        self.timeline = Timeline()
        self._watched: list[Signal] = []

    def _forget(self) -> None:
        self.timeline = Timeline()

    def _remember(self, other: Any, memo: dict[int, Any]) -> None:
        self.timeline = deepcopy(other.timeline, memo)

    def _begin(self) -> None:
        observing.watch(self.timeline)
        self._watch(self.signals)

    def _end(self, error: BaseException | None) -> None:  # noqa: ARG002
        watched, self._watched = self._watched, []
        for signal in watched:
            _unwatch(signal)
        observing.unwatch(self.timeline)

    def _watch(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            if not self._sees(signal):
                _watch(signal)
                self._watched.append(signal)

    def _sees(self, signal: Signal) -> bool:
        return any(signal is each for each in self._watched)


# How many helpers watch a signal, and how many sendings none of them saw.
_watching: dict[Signal, int] = {}
_unseen: dict[Signal, int] = {}


def unseen(signal: Signal) -> int:
    """Count what was sent in other threads or contexts than those that somebody watches."""
    return _unseen.get(signal, 0)


def _watch(signal: Signal) -> None:
    with lock:
        _watching[signal] = _watching.get(signal, 0) + 1
        if _watching[signal] == 1:
            _unseen[signal] = 0
            _compat.watch_sends(signal, _Sending, lambda: _makes_django_send(signal))


def _unwatch(signal: Signal) -> None:
    with lock:
        _watching[signal] -= 1
        if not _watching[signal]:
            del _watching[signal]
            _compat.unwatch_sends(signal)


def _recorders(signal: Signal) -> list[Recorder]:
    return [each for each in Recorder.scope if each._sees(signal)]


def _makes_django_send(signal: Signal) -> bool:
    return any(each.makes_django_send for each in _recorders(signal))


class _Sending:
    """One sending, for as long as it lasts."""

    def __init__(
        self, signal: Signal, sender: Any, arguments: Mapping[str, Any], is_robust: bool
    ) -> None:
        self.about = signal, sender, arguments
        self.is_robust = is_robust
        self.recorders = _recorders(signal)
        self.is_kept = any(each.mute for each in self.recorders)
        if not self.recorders:
            _unseen[signal] = _unseen.get(signal, 0) + 1

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.sent = [
                stack.enter_context(each.timeline.sending(*self.about)) for each in self.recorders
            ]
            self.stack = stack.pop_all()
        return self

    def __call__(self, results: Any) -> Any:
        for sent in self.sent:
            sent.ran = [(receiver, self._error_in(answer)) for receiver, answer in results]
        return results

    def _error_in(self, answer: Any) -> Exception | None:
        # One that was returned has no traceback.
        is_one = self.is_robust and isinstance(answer, Exception) and answer.__traceback__
        return answer if is_one else None

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)
