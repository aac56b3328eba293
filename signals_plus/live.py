"""Whom a signal calls: what is muted left out, the rest in order of priority.

One hook serves both. It is put on a signal when a receiver asks for a priority or a block mutes
the signal for the first time; a signal that nobody touched costs nothing.
"""

from __future__ import annotations

from typing import Any, Protocol
from weakref import WeakSet

from django.dispatch import Signal

from . import _compat, contexts
from ._compat import FindReceivers, ReceiverLists


class Rule(Protocol):
    """Something that keeps receivers from being called until it has ended."""

    ended: bool

    def silences(self, signal: Signal, sender: Any) -> bool: ...

    def matches(self, signal: Signal, sender: Any) -> bool: ...

    def left(self, signal: Signal, sender: Any, receivers: list[Any]) -> list[Any]: ...


# Immutable tuples, replaced whole: a context that inherited one never sees another's change.
_NONE: tuple[Rule, ...] = ()
rules_here = contexts.own("signals_plus_rules", _NONE)


class _Everywhere:
    """The rules in force for all threads."""

    rules: tuple[Rule, ...] = ()


everywhere = _Everywhere()


def watch(signal: Signal, *, in_all_threads: bool = False) -> None:
    """Make one signal obey the rules of a context, or those of all threads as well."""
    if in_all_threads:
        _compat.hook_signal(signal, _live)
    else:
        _compat.hook_signal_if(rules_here.get, signal, _live, _in_order)


def prioritize(signal: Signal) -> None:
    """Make one signal obey the priorities of its receivers."""
    _prioritized.add(signal)
    watch(signal)


def watch_every_signal() -> None:
    """Make all signals obey, those of libraries and those not yet made included."""
    _compat.hook_every_signal(_live)


def ours(receiver: Any) -> Any:
    """Return the BaseReceiver behind what a signal calls; None for receivers of others.

    Not by ``getattr``: a Mock has every attribute. Wrappers by ``functools.wraps``, sentry-sdk's
    for one, have the ``__dict__`` of what they wrap.
    """
    return getattr(receiver, "__dict__", {}).get("signals_plus")


def function_of(receiver: Any) -> Any:
    """Return the function behind what a signal calls, as it was decorated or connected."""
    known = ours(receiver)
    return receiver if known is None else known.function


def is_connected(signal: Signal, function: object) -> bool:
    """Tell whether this very function is connected, by whatever means and for whatever sender."""
    function_id = _compat.make_id(function)
    for receiver in _compat.connected(signal):
        if _compat.make_id(function_of(receiver)) == function_id:
            return True
    return False


def receivers_of(signal: Signal, sender: Any) -> list[Any]:
    """Return what a signal would call if nothing were muted, in that order."""
    synchronous, asynchronous = _in_order(signal, _compat.receivers_of(signal, sender))
    return [*synchronous, *asynchronous]


def muted(signal: Signal, sender: Any) -> list[Any]:
    """Return what a signal would call if nothing were muted, and does not."""
    rules = [rule for rule in rules_here.get() + everywhere.rules if rule.matches(signal, sender)]
    left = found = receivers_of(signal, sender) if rules else []
    for rule in rules:
        left = rule.left(signal, sender, left)
    return [each for each in found if each not in left]


def _live(find: FindReceivers, signal: Signal, sender: Any) -> ReceiverLists:
    rules = rules_here.get() + everywhere.rules
    for rule in rules:
        if rule.silences(signal, sender):
            return [], []
    synchronous, asynchronous = find(signal, sender)
    for rule in rules:
        if rule.matches(signal, sender):
            synchronous = rule.left(signal, sender, synchronous)
            asynchronous = rule.left(signal, sender, asynchronous)
    found = (synchronous, asynchronous)
    return _in_order(signal, found) if len(synchronous) > 1 else found


# Signals that have been given a receiver with a priority.
_prioritized: WeakSet[Signal] = WeakSet()


def _in_order(signal: Signal, receivers: ReceiverLists) -> ReceiverLists:
    if signal not in _prioritized:
        return receivers
    synchronous, asynchronous = receivers
    # Stable, so that receivers of one priority keep the order in which they were connected.
    # Only ours carry a priority, and ours are all connected as synchronous functions.
    return sorted(synchronous, key=_negative_priority), asynchronous


def _negative_priority(receiver: Any) -> int:
    known = ours(receiver)
    return -known.options.priority if known is not None else 0
