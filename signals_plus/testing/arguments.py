"""The arguments of an enqueued event: what a payload says, compared with what a test wants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import models

from ..payloads import encoding, rows
from ..payloads.decoding import Decoder
from ..payloads.faults import Fault
from . import matching


class Argument(NamedTuple):
    """An argument as its payload says, in JSON, and what that stands for."""

    written: Any
    value: Any

    def is_same(self, wanted: Any) -> bool:
        """Compare as ``==`` does; values of types without equality by how they travel."""
        if matching.same(self.value, wanted):
            return True
        try:
            return bool(self.written == json.loads(encoding.write(wanted)))
        except Fault:
            return False


class RowReference:
    """A row as a payload names it. It equals rows of its model, its key and its database."""

    def __init__(self, model: type[models.Model], alias: str | None, key: Any) -> None:
        self.model = model
        self.alias = alias
        self.key = rows.key_of(model, key)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, models.Model):
            return (
                self.model._meta.concrete_model is other._meta.concrete_model
                and self.key == _key_of(other)
                and (None in (self.alias, other._state.db) or self.alias == other._state.db)
            )
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)  # as rows do

    def __repr__(self) -> str:
        return f"<{self.model._meta.label} pk={self.key}>"


def read_argument(written: Any) -> Argument:
    """Return what a payload says of an argument."""
    try:
        return Argument(written, _Decoder().read(written))
    except Fault:
        return Argument(written, written)


class _Decoder(Decoder):
    """Reads values without a query: rows as references."""

    def __init__(self) -> None:
        super().__init__(rows.Rows("none"))

    def _tagged(self, tag: str, data: Any, depth: int) -> Any:
        if tag == "$model":
            label, alias, key = data
            return RowReference(rows.model_named(label), alias, key)
        if tag == "$snapshot":
            label, alias, columns = data
            return RowReference(rows.model_named(label), alias, _key_in(label, columns))
        return super()._tagged(tag, data, depth)


def _key_in(label: str, columns: Mapping[str, Any]) -> Any:
    """Return the key of a deleted row in JSON."""
    parts = [columns[field.attname] for field in rows.model_named(label)._meta.pk_fields]
    # What a field of its own kind wrote as text, it reads as a key, too.
    parts = [part.get("$field", part) if isinstance(part, dict) else part for part in parts]
    return parts if len(parts) > 1 else parts[0]


def _key_of(row: models.Model) -> Any:
    """Return the key of a row as its field reads it; None if it has none that could be."""
    try:
        return None if row.pk is None else rows.key_of(type(row), row.pk)
    except Fault:
        return None
