"""What a chain is made of: a link for each receiver that ran, and the rows it ran for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import models


class Row(NamedTuple):
    """What a receiver is guarded by: one row of one database, or one unsaved object.

    Made for every event, and hardly ever looked at: its key is written when it is asked for.
    """

    text: str | None
    model: type[models.Model] | None = None
    pk: Any = None
    using: str | None = None
    unsaved: models.Model | None = None  # held, so that its id() is not given to another object

    @classmethod
    def of(cls, instance: object, using: str | None) -> Row | None:
        """Name the row of a model instance; None for anything else."""
        if not isinstance(instance, models.Model):
            return None
        pk = instance.pk
        is_set = pk is not None and (type(pk) is not tuple or None not in pk)
        unsaved = None if is_set else instance
        # Not cls(...), which takes three times as long.
        # The class that it says it has: request.user is a lazy object.
        model = instance.__class__
        return tuple.__new__(cls, (None, model, pk, using or instance._state.db, unsaved))

    @property
    def key(self) -> str:
        """The same text for the same row, in all processes."""
        if self.model is None:
            return self.text or ""
        if self.unsaved is not None:
            return f"{self.model._meta.label} (unsaved, object {id(self.unsaved)})"
        return self._key_as(self.model)

    def keys_of_parents(self) -> Iterator[str]:
        """Yield the keys of the rows of parent models, which have the same primary key."""
        for base in self.model.__mro__[1:] if self.model is not None else ():
            meta = getattr(base, "_meta", None)
            if meta is not None and not meta.abstract and not meta.proxy:
                yield self._key_as(base)

    def _key_as(self, model: type[models.Model]) -> str:
        concrete: Any = model._meta.concrete_model
        pk = self.pk
        if type(pk) is str:  # one key may be written in several ways: a UUID as text
            with suppress(ValidationError, TypeError, ValueError):
                pk = concrete._meta.pk.to_python(pk)
        return f"{concrete._meta.label} pk={pk} ({self.using or 'default'})"


class Block:
    """A ``recursion_guard`` block: what it says goes before the receiver's own mode."""

    __slots__ = ("has_ended", "recursion")

    def __init__(self, recursion: str) -> None:
        self.recursion = recursion
        self.has_ended = False


class Others:
    """The (receiver, key of a row) of a batch. Hardly anybody asks: written when somebody does.

    Kept by their primary keys until then: an object for each row of a large batch would make
    Python's garbage collector go over all of its events once more.
    """

    __slots__ = ("_pairs", "_pks", "_receiver")

    def __init__(
        self, receiver: str, rows: Iterable[Row | None], pairs: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._receiver = receiver
        self._pks: dict[tuple[Any, str | None], list[Any]] = {}
        for row in rows:
            # Not the unsaved ones: their key outlives the object, whose id is another's then.
            if row is not None and row.unsaved is None:
                self._pks.setdefault((row.model, row.using), []).append(row.pk)
        self._pairs = frozenset(pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._written())

    def __contains__(self, pair: object) -> bool:
        return pair in self._written()

    def _written(self) -> frozenset[tuple[str, str]]:
        if self._pks:
            self._pairs = self._pairs.union(
                (self._receiver, Row(None, model, pk, using).key)
                for (model, using), pks in self._pks.items()
                for pk in pks
            )
            self._pks = {}
        return self._pairs


class Link(NamedTuple):
    """One step of a chain: this receiver ran for this row (None: for an event without one).

    ``others``: who else ran for which row, where one step stands for the many of a batch.
    """

    receiver: str
    row: Row | None
    block: Block | None = None
    others: Others | None = None

    def __str__(self) -> str:
        if self.others is not None:
            return f"{self.receiver} on a batch"
        return f"{self.receiver} on {self.row.key}" if self.row else self.receiver

    def is_for(self, receiver: str, row: Row, instance: object) -> bool:
        if self.others is not None and (receiver, row.key) in self.others:
            return True
        return (
            self.receiver == receiver
            and self.row is not None
            and not (self.block is not None and self.block.has_ended)
            and (self.row.key == row.key or self.row.unsaved is instance)
        )

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Return who ran for which row."""
        if self.row is not None and self.row.unsaved is None and self.block is None:
            yield self.receiver, self.row.key
        if self.others is not None:
            yield from self.others
