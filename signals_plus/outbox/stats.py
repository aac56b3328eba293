"""How an outbox is doing, in figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.db import Error
from django.db.models import Count, Max, Q

from ..exceptions import UnknownReceiverError
from ..registry import registry
from .databases import has_table
from .models import Message
from .moments import Age
from .states import DEAD, PENDING, TABLE


class Figures(NamedTuple):
    """Of one receiver, or of all.

    Attributes:
        depth: Messages that are not done: enqueued, waiting, failing.
        oldest: Seconds since the oldest of them should have been enqueued: when it was written,
            or ``run_after`` later. By the database's clock.
        failing: How many of them have attempts.
        dead: Messages that wait for a person.
        attempts: The most that one of the pending has.
    """

    depth: int = 0
    oldest: float = 0.0
    failing: int = 0
    dead: int = 0
    attempts: int = 0


class Stats(NamedTuple):
    """Of one database. ``unknown``: receivers that this process does not know, and the messages."""

    total: Figures
    receivers: dict[str, Figures]
    unknown: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.total._asdict(),
            "unknown": self.unknown,
            "receivers": {name: each._asdict() for name, each in self.receivers.items()},
        }


class Limits(NamedTuple):
    """What is too much; None: nothing is."""

    age: float | None = None
    depth: int | None = None
    dead: int | None = None

    def exceeded(self, figures: Figures) -> Iterator[str]:
        """Yield what is wrong."""
        if self.age is not None and figures.oldest > self.age:
            yield f"the oldest message waits for {figures.oldest:.0f} s, the limit is {self.age:g}"
        if self.depth is not None and figures.depth > self.depth:
            yield f"{figures.depth} messages are not done, the limit is {self.depth}"
        if self.dead is not None and figures.dead > self.dead:
            yield f"{figures.dead} messages are dead, the limit is {self.dead}"


class UnreadableError(Exception):
    """An outbox cannot be asked. The text says why."""


def stats(using: str) -> Stats:
    """Ask an outbox how it is doing, with one query.

    Raises:
        UnreadableError: It does not answer, or is not there.
    """
    try:
        if not has_table(using):
            raise UnreadableError(
                f"there is no table {TABLE!r}, run manage.py migrate --database {using}"
            )
        rows = list(_query(using))
    except Error as error:
        raise UnreadableError(f"cannot be asked: {' '.join(str(error).split())}") from error
    receivers = {name: _figures(name, counted) for name, *counted in rows}
    unknown = {
        name: each.depth + each.dead for name, each in receivers.items() if not _is_known(name)
    }
    return Stats(_total(receivers.values()), receivers, unknown)


def _query(using: str) -> Iterable[tuple[Any, ...]]:
    pending = Q(status=PENDING)
    return (
        Message.objects.using(using)
        .order_by("receiver")
        .values_list("receiver")
        .annotate(
            depth=Count("pk", filter=pending),
            age=Max(Age(), filter=pending),
            failing=Count("pk", filter=pending & Q(attempts__gt=0)),
            dead=Count("pk", filter=Q(status=DEAD)),
            most=Max("attempts", filter=pending),
        )
    )


def _figures(name: str, counted: list[Any]) -> Figures:
    depth, age, failing, dead, attempts = counted
    oldest = max(0.0, (age or 0.0) - _delay(name))
    return Figures(depth, round(oldest, 1), failing, dead, attempts or 0)


def _total(all_figures: Iterable[Figures]) -> Figures:
    depth, oldest, failing, dead, attempts = zip(*all_figures, Figures(), strict=True)
    return Figures(sum(depth), max(oldest), sum(failing), sum(dead), max(attempts))


def _is_known(name: str) -> bool:
    try:
        return bool(registry[name])
    except UnknownReceiverError:
        return False


def _delay(name: str) -> float:
    """Return how many seconds the messages of a receiver are meant to wait."""
    run_after = registry[name].options.run_after if _is_known(name) else None
    return run_after.total_seconds() if run_after is not None else 0.0
