"""Rows as if they had just been saved, and the signals that saving sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.db import transaction
from django.db.models.signals import ModelSignal, post_save

from .models import Row


def saved(model: type[Row], count: int) -> list[Row]:
    """Return instances that look as if they had been saved, without saving them."""
    return [one_saved(model, number) for number in range(1, count + 1)]


def one_saved(model: type[Row], number: int) -> Row:
    """Return one of them."""
    row = model(pk=number, name=f"row {number}", number=number)
    row._state.adding = False
    row._state.db = "default"
    return row


def send(rows: Iterable[Row], *, signal: ModelSignal = post_save, using: str = "default") -> None:
    """Send for each row what ``Model.save()`` sends after an insert."""
    for row in rows:
        signal.send(
            sender=type(row), instance=row, created=True, update_fields=None, raw=False, using=using
        )


def in_one(rows: list[Row]) -> Callable[[], None]:
    """Return a function that sends for all rows in one transaction."""

    def send_in_one() -> None:
        with transaction.atomic():
            send(rows)

    return send_in_one


def in_many(rows: list[Row], *, signal: ModelSignal = post_save) -> Callable[[], None]:
    """Return a function that sends for each row in a transaction of its own."""

    def send_in_many() -> None:
        for row in rows:
            with transaction.atomic():
                send([row], signal=signal)

    return send_in_many
