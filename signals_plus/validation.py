"""What a decorator refuses at once, because it could only fail later."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.db import connections, models
from django.db.models.signals import (
    ModelSignal,
    m2m_changed,
    post_migrate,
    post_save,
    pre_migrate,
)
from django.dispatch import Signal

from . import builtin, naming, signatures
from .exceptions import InvalidReceiverError
from .lineage import RECURSION_MODES
from .options import DEFAULT_BATCH_SIZE, Options

# A hundred years: any moment that is later by this has a year of four digits, as queues need.
MAX_RUN_AFTER = timedelta(days=36_500)


def signals_of(signal: object) -> tuple[Signal, ...]:
    """Return the signals a decorator was given, one or a list of them."""
    signals = tuple(signal) if isinstance(signal, list | tuple) else (signal,)
    if not signals or not all(isinstance(each, Signal) for each in signals):
        name = naming.dotted_name(signal) if callable(signal) else "signals_plus decorator"
        raise InvalidReceiverError(
            name,
            "is decorated without a signal" if callable(signal) else f"was given {signal!r}",
            "Name the signal, or a list of signals: @receiver_on_commit(post_save).",
        )
    return signals


def senders_of(name: str, sender: object, signals: Sequence[Signal]) -> tuple[Any, ...]:
    """Return the senders a decorator was given; ``(None,)`` for every sender."""
    senders = tuple(sender) if isinstance(sender, list | tuple) else (sender,)
    if not senders:
        raise InvalidReceiverError(
            name,
            "was given an empty list of senders",
            "Name a sender, or leave sender= out to receive from every sender.",
        )
    for each in senders:
        if any(isinstance(signal, ModelSignal) for signal in signals):
            _check_model_sender(name, each)
        if {pre_migrate, post_migrate}.intersection(signals):
            _check_migrate_sender(name, each)
    return senders


def check_options(name: str, options: Options, signals: Sequence[Signal]) -> None:
    """Refuse common keywords that cannot mean anything."""
    if not isinstance(options.priority, int) or isinstance(options.priority, bool):
        raise InvalidReceiverError(
            name,
            f"has priority={options.priority!r}",
            "Give a whole number: higher runs first, 0 is where Django's own receivers are.",
        )
    check_choice(name, "recursion", options.recursion, RECURSION_MODES)
    check_choice(name, "raw", options.raw, (True, False))
    check_choice(name, "created", options.created, (None, True, False))
    for signal in signals:
        if options.created is not None and signal is not post_save:
            raise InvalidReceiverError(
                name,
                f"asks for created={options.created!r} of {builtin.name_of(signal)}",
                "Only post_save says whether a row was created. Use when= for other signals.",
            )
    if options.when is not None:
        signatures.check_when(name, options.when)


def check_choice(name: str, keyword: str, value: object, choices: Sequence[object]) -> None:
    """Refuse a keyword's value that is none of those it may have. 1 is not True."""
    is_bool = isinstance(value, bool)
    if value not in [choice for choice in choices if isinstance(choice, bool) is is_bool]:
        wanted = ", ".join(repr(choice) for choice in choices)
        raise InvalidReceiverError(name, f"has {keyword}={value!r}", f"Use one of {wanted}.")


def check_deferred(name: str, options: Options, signals: Sequence[Signal]) -> None:
    """Refuse to wait for the commit of what no commit is about, and to merge what cannot be."""
    check_using(name, options.using)
    check_choice(name, "coalesce", options.coalesce, (True, False))
    check_choice(name, "batch", options.batch, (True, False))
    if options.coalesce and m2m_changed in signals:
        raise InvalidReceiverError(
            name,
            "asks for coalesce=True of m2m_changed",
            "Each of its events says what was added or removed, and merging them would lose it. "
            "Use batch=True.",
        )
    for signal in signals:
        if reason := builtin.NOT_DEFERRABLE.get(signal):
            raise InvalidReceiverError(
                name,
                f"cannot wait for the commit after {builtin.name_of(signal)}",
                reason,
            )


def check_using(name: str, using: object) -> None:
    """Refuse an alias that the project does not have, if its settings can be asked already."""
    if using is None:
        return
    known = list(connections) if django_settings.configured else []
    if not isinstance(using, str) or (known and using not in known):
        choice = f": {', '.join(known)}" if known else ""
        raise InvalidReceiverError(
            name, f"has using={using!r}", f"Name an alias of DATABASES{choice}."
        )


# What no database and few queues take: a NUL, and halves of a character.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != "" and not UNSTORABLE.search(value)


def check_task(name: str, function: Callable[..., Any], options: Options) -> None:
    """Refuse a task that no worker could find."""
    if options.name is not None and not _is_name(options.name):
        raise InvalidReceiverError(
            naming.dotted_name(function), f"has name={options.name!r}", "Give it a text as name."
        )
    queue_name = options.queue_name
    if queue_name is not None and not _is_name(queue_name):
        raise InvalidReceiverError(
            name, f"has queue_name={queue_name!r}", "Give the name of a queue, or leave it out."
        )
    priority = options.queue_priority
    if priority is not None and (not isinstance(priority, int) or isinstance(priority, bool)):
        raise InvalidReceiverError(
            name, f"has queue_priority={priority!r}", "Give a whole number on the queue's scale."
        )
    if options.name is None and not naming.is_importable(function):
        raise InvalidReceiverError(
            name,
            "cannot be named from another process",
            "Define it as a function of a module, or pass name=.",
        )
    check_choice(name, "on_missing", options.on_missing, ("skip", "raise", "none"))
    if options.durable is False:
        _refuse_options_of_the_outbox(name, options)
    _check_run_after(name, options.run_after)
    _check_batch_size(name, options)


def _check_run_after(name: str, run_after: object) -> None:
    if run_after is None:
        return
    if not isinstance(run_after, timedelta):
        raise InvalidReceiverError(
            name,
            f"has run_after={run_after!r}",
            "Give a timedelta: the time that has to pass after the commit.",
        )
    if not timedelta(0) <= run_after <= MAX_RUN_AFTER:
        raise InvalidReceiverError(
            name,
            f"has run_after={run_after!r}",
            f"Give a time from 0 to {MAX_RUN_AFTER.days} days.",
        )


def _check_batch_size(name: str, options: Options) -> None:
    size = options.batch_size
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InvalidReceiverError(
            name, f"has batch_size={size!r}", "Give a whole number of events of at least 1."
        )
    if size != DEFAULT_BATCH_SIZE and not options.batch:
        raise InvalidReceiverError(
            name, f"has batch_size={size!r} without batch=True", "Add it, or leave the size out."
        )


def _refuse_options_of_the_outbox(name: str, options: Options) -> None:
    for keyword, value, default in (
        ("atomic", options.atomic, True),
        ("ordering_key", options.ordering_key, None),
        ("on_dead", options.on_dead, "block"),
    ):
        if value != default:
            raise InvalidReceiverError(
                name, f"has {keyword}={value!r} without durable=True", "Add it, or leave this out."
            )


def _check_model_sender(name: str, sender: object) -> None:
    if sender is None:
        return
    if isinstance(sender, str):
        if sender.count(".") != 1:
            raise InvalidReceiverError(
                name,
                f"has sender={sender!r}",
                'A model named by a string is "app_label.Model".',
            )
        return
    if not (isinstance(sender, type) and issubclass(sender, models.Model)):
        raise InvalidReceiverError(
            name,
            f"has sender={sender!r}, which never sends a model signal",
            'Name a model class or "app_label.Model".',
        )
    if sender._meta.abstract:
        raise InvalidReceiverError(
            name,
            f"has the abstract model {sender.__qualname__} as sender, which never sends a signal",
            "Name the concrete models, or leave sender= out and choose with when=.",
        )


def _check_migrate_sender(name: str, sender: object) -> None:
    if sender is not None and not isinstance(sender, AppConfig):
        raise InvalidReceiverError(
            name,
            f"has sender={sender!r}, and pre_migrate and post_migrate are sent by AppConfigs",
            "Name the app: apps.get_app_config('shop'), or self in AppConfig.ready().",
        )
