"""What one mute covers: of which signals, for which senders, and which receivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models.signals import ModelSignal
from django.dispatch import Signal

from . import _compat, live
from ._compat import make_id
from .exceptions import InvalidReceiverError


def listed(name: str, value: Iterable[Any]) -> tuple[Any, ...]:
    """Return what a keyword of ``mute_signals`` was given, if it is a list."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise _refusal(f"was given {name}={value!r}, which is no list", f"Write {name}=[...].")
    return tuple(value)


def refuse_what_mutes_nothing(
    signals: Sequence[Any], senders: Sequence[Any], receivers: Sequence[Any]
) -> None:
    """Raise InvalidReceiverError for what could never mute anybody."""
    if not (signals or senders or receivers):
        raise _refusal(
            "names nothing to mute",
            "Name signals, senders or receivers: mute_signals(post_save), "
            "mute_signals(receivers=[send_mail]).",
        )
    for signal in signals:
        if not isinstance(signal, Signal):
            raise _refusal(
                f"was given {signal!r} as a signal",
                "Pass signals by position, receivers as receivers=[...] and "
                "senders as senders=[...].",
            )
    for sender in senders if _only_models_send(signals) else ():
        if not isinstance(sender, str) and not _is_concrete_model(sender):
            raise _refusal(
                f"was given the sender {sender!r}, which never sends a model signal",
                'Name concrete model classes or "app_label.Model".',
            )
    _refuse_what_is_no_receiver("receivers", receivers)


def refuse_wrong_exceptions(
    signals: Sequence[Any], receivers: Sequence[Any], except_: Sequence[Any]
) -> None:
    """Raise InvalidReceiverError for exceptions from nothing."""
    if except_ and receivers:
        raise _refusal(
            "was given receivers= and except_=", "Name those to mute, or those to leave alone."
        )
    if except_ and not signals:
        raise _refusal(
            "was given except_= without signals",
            "Name them: mute_signals(post_save, except_=[send_mail]).",
        )
    _refuse_what_is_no_receiver("except_", except_)


def _refuse_what_is_no_receiver(name: str, receivers: Sequence[Any]) -> None:
    for receiver in receivers:
        if not callable(receiver):
            raise _refusal(
                f"was given {receiver!r} as a receiver",
                f"Pass the functions themselves: {name}=[send_mail].",
            )


def _refusal(problem: str, remedy: str) -> InvalidReceiverError:
    return InvalidReceiverError("mute_signals()", problem, remedy)


class MuteRule:
    """What one block mutes, for as long as it lasts."""

    def __init__(
        self,
        signals: tuple[Signal, ...],
        senders: tuple[Any, ...],
        receivers: tuple[Any, ...],
        except_: tuple[Any, ...] = (),
    ) -> None:
        self.ended = False
        self.signals = signals
        self.senders = [_named(sender, signals) for sender in senders]
        self.receiver_ids = {make_id(receiver) for receiver in receivers}
        self.except_ids = {make_id(receiver) for receiver in except_}
        self.held = (receivers, except_)  # so that no id is given away
        self.before = {signal: _compat.connections(signal) for signal in signals}
        # Of these nobody is called, as long as this one is the newest that is connected.
        some = receivers or except_
        self.newest = {} if some else {each: _compat.newest(each) for each in signals}

    def silences(self, signal: Signal, sender: Any) -> bool:
        """Tell whether nobody is called at all, without asking who is connected.

        False where that takes a closer look.
        """
        newest = self.newest.get(signal)
        return (
            newest is not None
            and newest is _compat.newest(signal)
            and (not self.senders or self.matches(signal, sender))
        )

    def end(self) -> None:
        """Mute nothing any more, wherever the rule is still held."""
        self.ended = True
        self.newest = {}

    def matches(self, signal: Signal, sender: Any) -> bool:
        return (
            not self.ended
            and (not self.signals or any(signal is muted for muted in self.signals))
            and (not self.senders or any(_is_same(sender, muted) for muted in self.senders))
        )

    def left(self, signal: Signal, sender: Any, receivers: list[Any]) -> list[Any]:
        """Return the receivers that are called nevertheless."""
        if self.receiver_ids:
            return [each for each in receivers if self.receiver_ids.isdisjoint(_identities(each))]
        if not self.signals:
            return []
        newer = _compat.connected_since(signal, self.before[signal], sender)
        alive = {make_id(each) for each in newer} | self.except_ids
        return [each for each in receivers if alive and not alive.isdisjoint(_identities(each))]


def _named(sender: Any, signals: tuple[Signal, ...]) -> Any:
    """Return the model that a string names; the string itself if it is a sender like any other."""
    if not isinstance(sender, str):
        return sender
    try:
        return apps.get_model(sender)
    except (LookupError, ValueError) as error:
        if _only_models_send(signals):
            raise _refusal(
                f"was given the sender {sender!r}, which names no model",
                'Name a model class or "app_label.Model".',
            ) from error
        return sender


def _only_models_send(signals: Sequence[Any]) -> bool:
    return bool(signals) and all(isinstance(signal, ModelSignal) for signal in signals)


def _is_concrete_model(sender: object) -> bool:
    return (
        isinstance(sender, type) and issubclass(sender, models.Model) and not sender._meta.abstract
    )


def _is_same(sender: Any, muted: Any) -> bool:
    return sender is muted or (isinstance(muted, str) and sender == muted)


def _identities(receiver: Any) -> Iterator[Any]:
    """Name everything that a connected object may be known by to whoever connected it."""
    yield make_id(receiver)
    if ours := live.ours(receiver):
        yield from _identities(ours.function)
    # Decorators, and sentry-sdk, which puts a wrapper in the place of each receiver.
    if hasattr(receiver, "__wrapped__"):
        yield from _identities(receiver.__wrapped__)
