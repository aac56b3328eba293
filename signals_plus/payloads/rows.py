"""The rows that a message refers to: one query for each model and database."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.apps import apps
from django.db import DataError, connections, models

from . import scalars
from .faults import MALFORMED, Fault, reason, shown

Group = tuple[type[models.Model], str]


class RowGone(Exception):  # noqa: N818 - no error: the receiver allows it
    """A row is gone, and the event that refers to it is to be left out."""


class Rows:
    """Find what is referred to first, then load it all, then hand it out."""

    def __init__(self, on_missing: str) -> None:
        self._on_missing = on_missing
        self._groups: dict[tuple[str, str], Group] = {}
        self._resolved: dict[int, tuple[Group, Any]] = {}  # by id: a message is held while loaded
        self._wanted: dict[Group, dict[Any, None]] = {}
        self._found: dict[Group, dict[Any, models.Model]] = {}

    def want_all_in(self, value: Any) -> None:
        """Note every reference inside an encoded value."""
        for reference in _references(value):
            group, key = self._resolved[id(reference)] = self._resolve(reference)
            self._wanted.setdefault(group, {})[key] = None

    def want_each(self, label: Any, alias: Any, pks: Any) -> list[tuple[Group, Any]]:
        """Note rows of one model and database; return what ``find`` is to be given for each."""
        group = self._group(label, alias)
        keys = [key_of(group[0], pk) for pk in pks]
        self._wanted.setdefault(group, {}).update(dict.fromkeys(keys))
        return [(group, key) for key in keys]

    def load(self) -> None:
        """Read the rows that were noted.

        Through the base manager: the default one may hide rows that the signal was about.
        """
        for (model, alias), keys in self._wanted.items():
            rows = model._base_manager.using(alias)
            try:
                self._found[model, alias] = _read(rows, keys)
            except (*MALFORMED, DataError) as error:
                raise Fault(
                    f"refers to primary keys that no {model._meta.label} can have ({reason(error)})"
                ) from error

    def get(self, reference: Any) -> models.Model | None:
        """Return the row of a reference that was noted, as ``find`` does."""
        if id(reference) not in self._resolved:
            raise _no_row(reference)
        return self.find(*self._resolved[id(reference)])

    def find(self, group: Group, key: Any) -> models.Model | None:
        """Return the row, or what stands for one that is gone.

        Raises:
            ObjectDoesNotExist: It is gone, with ``on_missing="raise"``.
            RowGone: It is gone, with ``on_missing="skip"``.
        """
        found = self._found[group].get(key)
        if found is not None or self._on_missing == "none":
            return found
        model, alias = group
        gone = f"{model._meta.label} pk={shown(key)} ({alias})"
        if self._on_missing == "raise":
            error: type[models.ObjectDoesNotExist] = vars(model)["DoesNotExist"]
            raise error(f"{gone} does not exist")
        raise RowGone(gone)

    def _resolve(self, reference: Any) -> tuple[Group, Any]:
        if type(reference) is not list or len(reference) != 3:
            raise _no_row(reference)
        label, alias, pk = reference
        group = self._group(label, alias)
        return group, key_of(group[0], pk)

    def _group(self, label: Any, alias: Any) -> Group:
        if type(label) is not str or type(alias) is not str:
            raise _no_row([label, alias])
        group = self._groups.get((label, alias))
        if group is None:
            group = self._groups[label, alias] = model_named(label), known_alias(label, alias)
        return group


def model_named(label: Any) -> type[models.Model]:
    """Return an installed model. The label is looked up, never imported."""
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError, AttributeError) as error:
        raise Fault(
            f"names the model {shown(label)}, which is not installed here",
            "Give the workers the same INSTALLED_APPS as the processes that send.",
        ) from error
    if model._meta.swapped:
        raise Fault(f"names the model {label!r}, which is swapped for {model._meta.swapped!r}")
    return model


def known_alias(label: str, alias: Any) -> str:
    """Return the alias of a database of this process: the very object that DATABASES has.

    What the rows of all messages have in common is then found by its identity (KnownShapes).
    """
    known: str
    for known in connections if type(alias) is str else ():
        if known == alias:
            return known
    raise Fault(
        f"is a {label} on the database {shown(alias)}, which DATABASES does not have here",
        "Give the workers the same DATABASES as the processes that send.",
    )


def _read(rows: models.QuerySet[models.Model], keys: Collection[Any]) -> dict[Any, models.Model]:
    found = rows.in_bulk(list(keys))
    if found.keys() <= set(keys):
        return found
    # A database, or a field, that gives back another key than it was asked for ("a" for "A"). One
    # query for each that is left, rows that are gone among them: of one query for all nothing but
    # the database's own comparison could tell which row answers which key.
    for key in set(keys) - found.keys():
        if (row := rows.filter(pk=key).first()) is not None:
            found[key] = row
    return found


def _references(value: Any) -> Iterator[Any]:
    """Yield what every ``$model`` holds. With a stack of its own: a payload may be of any depth."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if type(value) is list:
            waiting.extend(value)
        elif type(value) is dict:
            tag, inner = next(iter(value.items())) if len(value) == 1 else ("", None)
            if tag == "$model":
                yield inner
            elif tag == "$dict" and type(inner) is dict:
                waiting.extend(inner.values())  # a dictionary that only looks like a tag
            else:
                waiting.extend(value.values())


def key_of(model: type[models.Model], pk: Any) -> Any:
    """Return a primary key, as a payload has it, as rows of the model have it.

    Raises:
        Fault: No row can have it.
    """
    field: Any = model._meta.pk
    try:
        if isinstance(field, models.CompositePrimaryKey):
            pairs: Any = zip(field.fields, pk, strict=True)
            key: Any = tuple(part.to_python(_scalar(value)) for part, value in pairs)
        else:
            key = field.to_python(_scalar(pk))
        hash(key)
    except MALFORMED as error:
        raise _no_key(model, pk) from error
    if key is None:
        raise _no_key(model, pk)
    return key


def _scalar(value: Any) -> Any:
    if type(value) is dict and len(value) == 1:
        ((tag, data),) = value.items()
        return scalars.READERS[tag](data)
    return value


def _no_row(reference: Any) -> Fault:
    return Fault(f"holds {shown(reference)}, which refers to no row")


def _no_key(model: type[models.Model], pk: Any) -> Fault:
    return Fault(f"has the primary key {shown(pk)}, which no {model._meta.label} can have")
