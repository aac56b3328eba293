"""Several events of one row in one transaction become one.

# Note [Net effect]
Who is told once per transaction is told what the transaction did to the row, seen from outside:

| before the transaction | after it | what is delivered |
|---|---|---|
| no row | a row | one event with ``created=True`` |
| a row | a row | one event with the ``update_fields`` of all; None wins |
| a row | no row | the deletion |
| no row | no row | nothing |

A row that was deleted and inserted again counts as created. The instance and all other arguments
are those of the last event. Saves and deletions of a row are merged with each other; events of any
other signal only with events of the same signal, and an event without a row with none.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models.signals import post_delete, post_save, pre_delete
from django.dispatch import Signal

from .events import row_alias
from .links import Row

_DELETIONS = frozenset({pre_delete, post_delete})
_OF_A_ROW = _DELETIONS | {post_save}


class Change(NamedTuple):
    """What an event says of a row, as far as merging has to know."""

    signal: Signal
    row: Row | None
    created: bool | None
    update_fields: frozenset[str] | None

    @classmethod
    def of(cls, signal: Signal, kwargs: Mapping[str, Any]) -> Change:
        """Read it from the arguments of the signal. It cannot fail: that would be too late."""
        row = Row.of(kwargs.get("instance"), row_alias(kwargs))
        if signal is not post_save:
            return cls(signal, row, None, None)
        return cls(signal, row, kwargs.get("created"), _names(kwargs.get("update_fields")))


def _names(update_fields: Any) -> frozenset[str] | None:
    """Return what ``save()`` sends; somebody may send the signal by hand, with a list."""
    if not isinstance(update_fields, frozenset | set | list | tuple):
        return None
    return frozenset(name for name in update_fields if isinstance(name, str))


# Where the last event of a row stands, and the arguments that are not those of that event.
Merged = tuple[int, dict[str, Any]]


def merge(changes: Sequence[Change]) -> list[Merged]:
    """Return what is delivered, in the order in which each row was first concerned."""
    rows: dict[Hashable, _Net] = {}
    inserted: set[str] = set()
    for index, change in enumerate(changes):
        if change.row is None:
            rows[index] = _Net(index, change)
            continue
        family = "row" if change.signal in _OF_A_ROW else id(change.signal)
        key = (family, change.row.key)
        if change.created:
            inserted.update(change.row.keys_of_parents())
        if key in rows:
            rows[key].add(index, change)
        else:
            rows[key] = _Net(index, change, was_inserted=change.row.key in inserted)
    return [(net.index, net.changed()) for net in rows.values() if net.existed or net.exists]


class _Net:
    """What a transaction did to one row, so far."""

    __slots__ = ("created", "existed", "exists", "index", "last", "update_fields")

    def __init__(self, index: int, first: Change, *, was_inserted: bool = False) -> None:
        self.existed = not (first.created or was_inserted)
        self.exists = False
        self.add(index, first)

    def add(self, index: int, change: Change) -> None:
        self.index, self.last = index, change
        if change.signal in _DELETIONS:
            self.exists = False
        elif not self.exists:
            self.exists = True
            self.created, self.update_fields = change.created, change.update_fields
        else:
            self.created = self.created or change.created
            self.update_fields = (
                None
                if self.update_fields is None or change.update_fields is None
                else self.update_fields | change.update_fields
            )

    def changed(self) -> dict[str, Any]:
        if self.last.signal is not post_save:
            return {}
        fields = None if self.created else self.update_fields
        changed: dict[str, Any] = {}
        if self.created != self.last.created:
            changed["created"] = self.created
        if fields != self.last.update_fields:
            changed["update_fields"] = fields
        return changed
