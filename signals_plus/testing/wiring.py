"""Who is connected to what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.apps import apps
from django.dispatch import Signal

from .. import _compat, live, naming
from .matching import is_related, kinship, sender_named
from .names import named_signals, shown, signal_name


def receivers_of(signal: Signal, sender: Any = None) -> list[Callable[..., Any]]:
    """Return the functions that a signal would call, in that order.

    Functions as they were decorated or connected. Mutes are left out of account.

    Args:
        signal: The signal.
        sender: A sender, or ``"app_label.Model"``. None: those who hear every sender.
    """
    found = live.receivers_of(signal, sender_named(sender, [signal]))
    return [live.function_of(each) for each in found]


def assert_connected(receiver: Callable[..., Any], signal: Signal, sender: Any = None) -> None:
    """Fail unless the signal calls the receiver when this sender sends it.

    Args:
        receiver: The function as it was decorated or connected.
        signal: The signal.
        sender: A sender, or ``"app_label.Model"``. None: any, so it has to hear every sender.
    """
    sender = sender_named(sender, [signal])
    if any(each == receiver for each in receivers_of(signal, sender)):
        return
    name = naming.dotted_name(receiver)
    about = signal_name(signal) + ("" if sender is None else f" of {shown(sender)}")
    parts = [f"{name} is not connected to {about}."]
    others = _senders_of(receiver, signal)
    for other in others:
        parts.append(f"It is connected to {signal_name(signal)} of {shown(other)}.")
        if is_related(other, sender):
            parts.append(
                f"Hint: {kinship(other, sender)}, and for signals another sender. Name both: "
                f"sender=[{other.__name__}, {sender.__name__}]."
            )
    if not others:
        elsewhere = [line for other in named_signals() for line in _said_of(receiver, other)]
        hint = (
            f"Hint: is the module {receiver.__module__} imported when Django starts? A "
            'receivers.py of an installed app is found by itself, if "signals_plus" is installed.'
        )
        parts += elsewhere or [hint]
    names = [f"   {naming.dotted_name(each)}" for each in receivers_of(signal, sender)]
    parts += [f"\nConnected to {about}:", *(names or ["   nobody"])]
    raise AssertionError("\n".join(parts))


def _said_of(receiver: Any, signal: Signal) -> Iterator[str]:
    """Say by which senders a signal calls a receiver, if it does."""
    if not live.is_connected(signal, receiver):
        return
    senders = [] if receiver in receivers_of(signal) else _senders_of(receiver, signal)
    for sender in senders or [None]:
        of = "" if sender is None else f" of {shown(sender)}"
        yield f"It is connected to {signal_name(signal)}{of}."


def _senders_of(receiver: Any, signal: Signal) -> list[Any]:
    """Return other senders by which the signal calls a receiver."""
    named = [
        sender
        for each in _compat.connected(signal)
        if (ours := live.ours(each)) is not None and ours.function == receiver
        for sender in ours.senders
        if not isinstance(sender, str)
    ]
    heard = [model for model in apps.get_models() if receiver in receivers_of(signal, model)]
    return [*heard, *(sender for sender in named if sender not in heard)]
