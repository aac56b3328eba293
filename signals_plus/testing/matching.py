"""What an assertion is about, and how near something else comes to it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.apps import apps
from django.db import models
from django.db.models.signals import ModelSignal
from django.dispatch import Signal

from .. import builtin
from .names import shown, signal_name
from .timeline import SentSignal

_MISSING = object()

# What keys are, and others who are equal to no row; not whatever compares in a way of its own.
_NO_ROWS = (int, str, bytes, UUID, tuple, type, type(None))


class WantedSenders(NamedTuple):
    """The senders that an assertion is about, any of them; every sender, if none is named."""

    named: tuple[Any, ...]

    @classmethod
    def of(cls, sender: Any, signals: Collection[Signal]) -> WantedSenders:
        """Read ``sender=`` of an assertion: None, a sender, or a list of them.

        Raises:
            AssertionError: It names nothing that sends these signals.
        """
        if sender is None:
            return cls(())
        several = tuple(sender) if isinstance(sender, list | tuple) else (sender,)
        if not several:
            raise AssertionError(f"sender={sender!r} names no sender: the list is empty.")
        return cls(tuple(sender_named(each, signals) for each in several))

    def __str__(self) -> str:
        return " or ".join(map(shown, self.named))

    def differences(self, sender: Any) -> list[str]:
        """Say that a sender is none of these, if it is not."""
        if not self.named or any(sender is each for each in self.named):
            return []
        return [f"the sender was {shown(sender)}, not {self}"]


class Wanted(NamedTuple):
    """A sending that a test looks for."""

    signal: Signal
    senders: WantedSenders
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        text = signal_name(self.signal)
        if self.senders.named:
            text += f" from {self.senders}"
        arguments = ", ".join(f"{name}={shown(value)}" for name, value in self.arguments.items())
        return f"{text} with {arguments}" if arguments else text

    def differences(self, sent: SentSignal) -> list[str]:
        """Say where a sending differs from this one."""
        if sent.signal is not self.signal:
            return [f"the signal was {signal_name(sent.signal)}"]
        found = self.senders.differences(sent.sender)
        for name, wanted in self.arguments.items():
            original = sent.originals.get(name, _MISSING)
            captured = sent.kwargs.get(name, _MISSING)
            if not (original is wanted or same(captured, wanted)):
                found.append(difference(name, captured, wanted))
        return found

    def nearest(self, sendings: Iterable[SentSignal]) -> tuple[SentSignal, list[str]] | None:
        """Return the sending of this signal with the fewest differences, the first of them."""
        all_of_it = [
            (sent, self.differences(sent)) for sent in sendings if sent.signal is self.signal
        ]
        return min(all_of_it, key=lambda each: len(each[1]), default=None)


def same(value: Any, wanted: Any) -> bool:
    """Compare as ``==`` does, except that a row is not that of another database."""
    try:
        return bool(value == wanted) and not _are_on_two_databases(value, wanted)
    except Exception:  # noqa: BLE001 - of an array, say, which is not equal in this sense
        return value is wanted


def difference(name: str, value: Any, wanted: Any) -> str:
    """Say how one argument differs."""
    if value is _MISSING:
        return f"there was no argument {name!r}"
    found, looked_for = shown(value), shown(wanted)
    if found == looked_for and _are_on_two_databases(value, wanted):
        found += f" on {_alias_of(value)!r}"
        looked_for += f" on {_alias_of(wanted)!r}"
    return f"{name} was {found}, not {looked_for}"


def _are_on_two_databases(value: Any, row: Any) -> bool:
    return isinstance(row, models.Model) and len({_alias_of(value), _alias_of(row)} - {None}) == 2


def _alias_of(value: Any) -> Any:
    """Return the database of a row, or of what stands for one; None if it is not known."""
    return value._state.db if isinstance(value, models.Model) else getattr(value, "alias", None)


def model_named(name: Any) -> Any:
    """Return the model that a string names, and anything else as it is."""
    if isinstance(name, str) and name.count(".") == 1:
        try:
            return apps.get_model(name)
        except LookupError:
            return name
    return name


def sender_named(sender: Any, signals: Iterable[Signal]) -> Any:
    """Return the model that a string names, and any other sender as it is.

    Raises:
        AssertionError: Only models send these signals, and this is a row or names no model.
    """
    found = model_named(sender)
    kinds = {isinstance(signal, ModelSignal) for signal in signals}
    if isinstance(found, str) and kinds == {True}:
        raise AssertionError(
            f'The sender {sender!r} names no model. Write a model class or "app_label.Model".'
        )
    if isinstance(found, models.Model) and kinds == {True}:
        raise AssertionError(
            f"The sender {shown(found)} is a row, and models send this signal. "
            f"Write sender={type(found).__name__}, instance=..."
        )
    return found


def refuse_unknown_arguments(
    names: Iterable[str],
    signals: Collection[Signal],
    sendings: Collection[SentSignal],
    others: Collection[str] = (),
) -> None:
    """Refuse arguments that these signals never have: that none was sent with them says nothing.

    Which ones a custom signal has is known from its sendings. ``others``: names known besides.

    Raises:
        AssertionError: Names the first one.
    """
    known = set(others)
    for signal in signals:
        sent = [each.kwargs for each in sendings if each.signal is signal]
        if signal not in builtin.ARGUMENTS and not sent:
            return
        known.update(builtin.ARGUMENTS.get(signal, ()), *sent)
    for name in names if signals else ():
        if name not in known:
            have = "has" if len(signals) == 1 else "have"
            near = ", ".join(map(repr, difflib.get_close_matches(name, sorted(known))))
            text = f"{', '.join(sorted(map(signal_name, signals)))} {have} no argument {name!r}."
            raise AssertionError(f"{text} Near it: {near}." if near else text)


def refuse_what_is_no_row(
    arguments: Mapping[str, Any], signals: Collection[Signal], senders: Iterable[Any]
) -> None:
    """Refuse a key where these signals have rows: none was sent with it, whatever happens.

    Raises:
        AssertionError: Names it.
    """
    if not isinstance(arguments.get("instance", _MISSING), _NO_ROWS):
        return
    if signals and all(isinstance(signal, ModelSignal) for signal in signals):
        model = next((each.__name__ for each in senders if isinstance(each, type)), "Model")
        about = "is about rows" if len(signals) == 1 else "are about rows"
        raise AssertionError(
            f"instance={shown(arguments['instance'])} is no row, and "
            f"{', '.join(sorted(map(signal_name, signals)))} {about}. "
            f"Write instance={model}(pk=...)."
        )


def is_related(sender: Any, other: Any) -> bool:
    """Tell whether both are models, and one is a proxy, a child or a parent of the other."""
    return (
        isinstance(sender, type)
        and isinstance(other, type)
        and sender is not other
        and issubclass(sender, models.Model)
        and issubclass(other, models.Model)
        and (issubclass(sender, other) or issubclass(other, sender))
    )


def kinship(sender: type[models.Model], other: type[models.Model]) -> str:
    """Say what a sender is to a model that it is related to."""
    if sender._meta.concrete_model is other._meta.concrete_model:
        proxy, of = (sender, other) if sender._meta.proxy else (other, sender)
        return f"{proxy._meta.label} is a proxy of {of._meta.label}"
    child, parent = (sender, other) if issubclass(sender, other) else (other, sender)
    return f"{child._meta.label} is a child of {parent._meta.label}"


def times(count: int) -> str:
    """Say how often."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
