"""What usually went wrong, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from django.db import models
from django.db.models.signals import ModelSignal
from django.dispatch import Signal

from .. import naming
from .matching import Wanted, is_related, kinship
from .names import shown, signal_name
from .recording import unseen
from .steps import COALESCED, NOT_CALLED, ROLLED_BACK, WAITING, Scheduled, outcomes_of
from .timeline import SentSignal, Timeline

NO_SIGNAL = (
    "bulk_create(), bulk_update(), QuerySet.update() and raw SQL send no signals; "
    "get_or_create() sends none for a row that is there."
)


def for_signal(wanted: Wanted, sendings: Iterable[SentSignal], *, found: bool) -> Iterator[str]:
    """Yield hints for a signal that was not sent as often as it was expected."""
    of_signal = [sent for sent in sendings if sent.signal is wanted.signal]
    if not found:
        yield from _other_senders(of_signal, wanted.senders.named, "the assertion")
    if not of_signal and isinstance(wanted.signal, ModelSignal):
        yield f"Hint: {NO_SIGNAL}"
    yield from in_other_threads([wanted.signal], "capture_signals")


def in_other_threads(signals: Iterable[Signal], helper: str) -> Iterator[str]:
    """Yield a hint where other threads sent something."""
    for signal in signals:
        if count := unseen(signal):
            yield (
                f"Hint: {signal_name(signal)} was sent {count} more times in other threads or "
                f"contexts. To see them: {helper}(..., all_threads=True)."
            )


def for_task(receiver: Any, timeline: Timeline) -> Iterator[str]:
    """Yield hints for a task that was not enqueued. ``receiver``: the TaskReceiver."""
    steps = timeline.steps(receiver.name)
    waiting = [step for _, step in steps if isinstance(step, Scheduled)]
    outcomes = outcomes_of(waiting)
    if WAITING in outcomes:
        yield (
            "Hint: it is scheduled, and its transaction has not committed yet. Ask once atomic() "
            "has ended."
        )
    if ROLLED_BACK in outcomes:
        yield "Hint: it was scheduled, and its transaction was rolled back."
    if COALESCED in outcomes:
        yield (
            "Hint: its row was inserted and deleted in one transaction, of which coalesce=True "
            "leaves nothing."
        )
    if NOT_CALLED in outcomes:
        left = " Its message is in the outbox, and the relay enqueues it."
        yield (
            "Hint: its transaction was committed, and it was not called: a callback before it "
            f"raised, or is still at work.{left if receiver.options.durable else ''}"
        )
    if steps:
        return
    heard = [
        sent for sent in timeline.sent if any(sent.signal is each for each in receiver.signals)
    ]
    if any(receiver.function in sent.muted for sent in heard):
        yield "Hint: its signal was sent, and a mute_signals() block muted it."
    yield from _other_senders(heard, receiver.senders, "the receiver")
    if not receiver.is_connected():
        yield "Hint: the receiver is not connected any more: somebody disconnected it."
    elif not heard:
        names = ", ".join(signal_name(each) for each in receiver.signals)
        yield f"Hint: its signal, {names}, was not sent in the block. {NO_SIGNAL}"
        yield from in_other_threads(receiver.signals, "capture_tasks")


def for_no_receiver(wanted: Any, names: Sequence[str]) -> str:
    """Say that nothing is enqueued for it, ever."""
    if not isinstance(wanted, str):
        return (
            f"{naming.dotted_name(wanted)} is no task receiver: @receiver_task makes one. If it "
            "is one, the module that defines it was not imported."
        )
    near = ", ".join(map(repr, difflib.get_close_matches(wanted, names))) or "none"
    return (
        f"No task receiver has the name {wanted!r}. Near it: {near}. Is the module that defines "
        "it imported?"
    )


def for_rows(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield hints for rows that nothing can be compared with."""
    for problem in without_key(arguments):
        yield f"Hint: {problem}"


def without_key(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Say which rows nothing can be compared with."""
    for name, value in arguments.items():
        if isinstance(value, models.Model) and not value._is_pk_set():  # type: ignore[attr-defined]
            yield (
                f"{name} has no key: it was deleted, or never saved. Name another with its "
                f"key: {name}={type(value).__name__}(pk=...)."
            )


def _other_senders(
    sendings: Iterable[SentSignal], senders: Sequence[Any], who: str
) -> Iterator[str]:
    """Yield a hint for each sender that is something like one of those expected."""
    classes = [sent.sender for sent in sendings if isinstance(sent.sender, type)]
    others = dict.fromkeys(each for each in classes if each not in senders)
    for sender, other in product(senders, others):
        if is_related(other, sender):
            yield (
                f"Hint: {who} is about {shown(sender)}, and the signal came from {shown(other)}. "
                f"{kinship(other, sender)}, and for signals another sender. Name both: "
                f"sender=[{sender.__name__}, {other.__name__}]."
            )
