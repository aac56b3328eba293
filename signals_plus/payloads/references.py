"""References to rows and models as JSON text."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import models

from .faults import MALFORMED, Fault, shown
from .leaves import LEAVES, quote


def row(instance: models.Model) -> str:
    """Return a reference to a saved row as JSON text."""
    state = instance._state
    key = instance.pk
    if state.adding or key is None or not instance._is_pk_set():  # type: ignore[attr-defined]
        raise Fault(
            f"is {shown(instance)}, which is not saved",
            "Save it first: the worker loads it by its primary key.",
        )
    alias = quote(state.db or "default")
    return f'{{"$model":[{quoted_label(instance.__class__)},{alias},{pk(instance, key)}]}}'


@lru_cache(maxsize=1000)
def quoted_label(model: type[models.Model]) -> str:
    """Return the label of an installed model as JSON text."""
    label = model._meta.label
    try:
        apps.get_model(label)
    except LookupError as error:
        raise Fault(
            f"names the model {label!r}, which no worker has: it is of no installed app",
            "Add its app to INSTALLED_APPS.",
        ) from error
    return quote(label)


def pk(instance: models.Model, value: Any) -> str:
    """Return a primary key as JSON text: its field reads it back."""
    kind = type(value)
    if kind is int or kind is str:
        return LEAVES[kind](value)
    if isinstance(value, tuple):
        return f"[{','.join(pk(instance, part) for part in value)}]"
    if kind is UUID:
        return f'"{value}"'
    value = plain(value)
    leaf = LEAVES.get(type(value))
    if leaf is not None and type(value) is not bool:
        return leaf(value)
    try:
        return field_text(instance, instance._meta.pk, value)
    except MALFORMED as error:
        raise Fault(
            f"has the primary key {shown(value)}, which cannot travel",
            "A key may be an int, text, a date, a Decimal, ..., or what its field writes as text.",
        ) from error


def field_text(instance: models.Model, field: Any, value: Any) -> str:
    """Return a value of a type of the field's own as the field writes it, if it can read it too.

    Raises:
        One of ``faults.MALFORMED``: It cannot.
    """
    text = field.value_to_string(instance)
    if type(text) is not str or hasattr(value, "resolve_expression"):
        raise TypeError(f"{field!r} does not write text")
    field.to_python(text)
    return quote(text)


def plain(value: Any) -> Any:
    """Return what a member of a str or int Enum is for a database; anything else as it is."""
    if isinstance(value, Enum):
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
    return value
