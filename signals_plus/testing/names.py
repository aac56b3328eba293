"""How messages name signals, senders and values."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.db import models
from django.dispatch import Signal

from .. import builtin

MAX_SHOWN = 80
# What is shown of a long list, at either end.
MAX_LINES = 25


def signal_name(signal: Signal) -> str:
    """Name a signal as its users do: by the variable that holds it."""
    if signal in builtin.NAMES:
        return builtin.NAMES[signal]
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is signal and not name.startswith("_"):
                return f"{module.__name__}.{name}"
    return repr(signal)


def named_signals() -> list[Signal]:
    """Return the signals that a module has as a variable: Django's own, and all but odd ones."""
    modules = [getattr(module, "__dict__", {}) for module in list(sys.modules.values())]
    values = [value for names in modules for value in list(names.values())]
    # By its type: to ask a lazy object for its class would wake it.
    return [*dict.fromkeys(value for value in values if issubclass(type(value), Signal))]


def shown(value: Any) -> str:
    """Return a value as a message shows it: in short, and without a query."""
    if isinstance(value, type) and issubclass(value, models.Model):
        return value._meta.label
    if isinstance(value, models.Model):
        return shown_row(value)
    if isinstance(value, models.QuerySet):
        return f"<QuerySet of {value.model._meta.label}>"
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - whatever it is, there is a message to be written
        text = f"<{type(value).__name__}, whose repr raised {error!r}>"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def shown_row(value: Any) -> str:
    """Name a row by its model and key; anything else as it is."""
    if not isinstance(value, models.Model):
        return shown(value)
    return f"<{value._meta.label} pk={value.pk}>"


def cut(lines: Sequence[Any], keep: Collection[int] = ()) -> Iterator[Any]:
    """Yield the lines at both ends and those to keep, and how many are left out between."""

    def is_kept(index: int) -> bool:
        return index < MAX_LINES or index >= len(lines) - MAX_LINES or index in keep

    for kept, indexes in groupby(range(len(lines)), is_kept):
        some = [lines[index] for index in indexes]
        if kept or len(some) == 1:
            yield from some
        else:
            yield f"      ... {len(some)} more ..."
