"""What people do with messages: requeue, discard, prune.

The commands and the admin call these, so that both do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

from django.db import connections, transaction
from django.db.models import F, Q, QuerySet

from .models import Message
from .moments import Moment
from .order import Order
from .states import DEAD, PENDING, RUNNING
from .table import OutboxTable

# Rows that one statement changes or deletes: no lock is held for long.
TOGETHER = 500

DAY = 86400

Note = Callable[[list[Message]], object]

_NEEDS_IT = Q(status=DEAD) | Q(attempts__gt=0)
# Work outside of a transaction: no row is locked, so that its claim has to say it.
_IS_HELD = Q(status=PENDING, claimed_by__startswith=RUNNING, due_at__gt=Moment())


def requeueable(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return those that ``requeue`` would change now."""
    return messages.filter(_NEEDS_IT & ~_IS_HELD)


def requeue(messages: QuerySet[Message], *, note: Note | None = None) -> list[Message]:
    """Let messages that are dead, or have failed, be due now with all their attempts before them.

    One that a worker is at is left alone. Return those that were requeued, as they were before.

    Args:
        messages: What to choose from.
        note: Called with those that were requeued, in the transaction in which they are; at most
            ``TOGETHER`` at a time. What it raises undoes that.
    """

    def change(locked: QuerySet[Message]) -> None:
        locked.update(
            status=PENDING, attempts=0, due_at=Moment(), due_since=Moment(), dead_at=None,
            claimed_by="",
        )  # fmt: skip

    return [*chain.from_iterable(_changed(messages, requeueable, change, note))]


def discardable(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return those that ``discard`` would delete now."""
    return messages.filter(~_IS_HELD)


def discard(messages: QuerySet[Message], *, note: Note | None = None) -> list[Message]:
    """Delete messages, dead or not, whose work is not to be done.

    One that a worker is at is left alone. Return those that were deleted. ``note``: as for
    ``requeue``.
    """
    discarded = [*chain.from_iterable(_changed(messages, discardable, QuerySet.delete, note))]
    _wake_next(discarded, messages.db)
    return discarded


def prunable(messages: QuerySet[Message], days: int) -> QuerySet[Message]:
    """Return those that have been dead for so many days."""
    return messages.filter(status=DEAD, dead_at__lte=Moment(-days * DAY))


def prune(using: str, days: int) -> int:
    """Delete the messages that have been dead for so many days; return how many."""
    pruned = 0
    every = Message.objects.using(using)
    for some in _changed(every, partial(prunable, days=days), QuerySet.delete, None):
        pruned += len(some)
        _wake_next(some, using)
    return pruned


def _changed(
    messages: QuerySet[Message],
    possible: Callable[[QuerySet[Message]], QuerySet[Message]],
    change: Callable[[QuerySet[Message]], object],
    note: Note | None,
) -> Iterator[list[Message]]:
    """Change those that can be changed and nobody has locked; yield them, some at a time."""
    every = Message.objects.using(messages.db)
    for ids in _chunks(list(possible(messages).values_list("pk", flat=True))):
        with transaction.atomic(messages.db):
            # Asked again: others may have dealt with them since.
            locked = _locked(possible(every.filter(pk__in=ids)))
            change(every.filter(pk__in=[message.pk for message in locked]))
            if note is not None and locked:
                note(locked)
        yield locked


def _wake_next(gone: Iterable[Message], using: str) -> None:
    """Let those be due that have waited for what is gone."""
    order = Order(OutboxTable(using))
    for receiver, key in {(each.receiver, each.ordering_key) for each in gone}:
        if key is not None:
            order.wake_next(receiver, key)


def _locked(messages: QuerySet[Message]) -> list[Message]:
    light = messages.defer("payload", "last_error").order_by("pk")
    features = connections[messages.db].features
    if features.has_select_for_update:
        skips = features.has_select_for_update_skip_locked
        return [*light.select_for_update(skip_locked=skips)]
    # SQLite: a transaction that begins by reading could not write once another has written.
    messages.update(attempts=F("attempts"))
    return [*light]


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), TOGETHER):
        yield ids[start : start + TOGETHER]
