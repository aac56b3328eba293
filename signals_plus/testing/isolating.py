"""Connections that last for a block."""

from __future__ import annotations

from typing import Any

from django.dispatch import Signal

from .. import _compat, builtin, connecting
from ..registry import registry
from .helper import Helper, Scope, lock


class isolated_receivers(Helper):  # noqa: N801 - used like a function
    """Undo at the end of the block what was connected and disconnected in it, on every signal.

    By whatever means: these decorators, Django's own, ``Signal.connect``; for the signals of models
    also what a test does to ``Signal.receivers`` by hand. It holds for all threads, as connections
    do. Works as context manager and as decorator of functions and test classes.

    Example::

        with isolated_receivers():
            receiver(post_save, sender=Order)(print)
    """

    described = "isolated_receivers()"
    scope: Scope[isolated_receivers] = Scope("signals_plus_isolated_receivers")
    all_threads = True

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[Signal, list[Any]] = {}

    def _copy(self) -> isolated_receivers:
        return isolated_receivers()

    def _begin(self) -> None:
        # Django's own at once: tests empty their lists of receivers by hand.
        self._before = {signal: _compat.entries(signal) for signal in builtin.NAMES}
        self._waiting = connecting.waiting()
        self._registered = registry.registered()
        _compat.watch_connections(self._save)

    def _end(self, error: BaseException | None) -> None:  # noqa: ARG002
        _compat.unwatch_connections(self._save)
        with lock:
            for signal, before in self._before.items():
                old = {id(each) for each in before}
                new = {id(each) for each in _compat.entries(signal)} - old
                # Blocks that begun earlier or later do not bring back what is undone here.
                for other in self.scope:
                    other._forget_entries(signal, new)
                _compat.set_entries(signal, before)
        connecting.restore_waiting(self._waiting)
        registry.restore(self._registered)

    def _save(self, signal: Signal) -> None:
        """Note the connections of a signal, before the first change of them."""
        with lock:
            self._before.setdefault(signal, _compat.entries(signal))

    def _forget_entries(self, signal: Signal, gone: set[int]) -> None:
        if signal in self._before:
            self._before[signal] = [each for each in self._before[signal] if id(each) not in gone]
