"""A deleted row: its concrete fields, as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models.fields.files import FieldFile

from .encoding import write
from .faults import MALFORMED, Fault, shown
from .leaves import quote
from .references import field_text, plain, quoted_label


def write_row(instance: models.Model, alias: str) -> str:
    """Return the row as JSON text. What was not loaded is left out: no query is made."""
    meta, values = instance._meta, vars(instance)
    columns = ",".join(
        f"{quote(field.attname)}:{_write_column(instance, field, values[field.attname])}"
        for field in meta.concrete_fields
        if field.attname in values
    )
    return f'{{"$snapshot":[{quoted_label(type(instance))},{quote(alias)},{{{columns}}}]}}'


def restore(model: type[models.Model], alias: str, values: Mapping[str, Any]) -> models.Model:
    """Make the row as Django makes one that it has read. What is left out stays deferred."""
    given = [field for field in model._meta.concrete_fields if field.attname in values]
    missing = [field for field in model._meta.pk_fields if field not in given]
    if missing:
        raise Fault(f"is a {model._meta.label} without its primary key")
    return model.from_db(
        alias, [field.attname for field in given], [values[field.attname] for field in given]
    )


def read_column(model: type[models.Model], attname: str, text: Any) -> Any:
    """Return the value that the field wrote as text, by the field itself."""
    field = next((each for each in model._meta.concrete_fields if each.attname == attname), None)
    if field is None or type(text) is not str:
        raise Fault(f"is no value of the field {attname!r}")
    try:
        return field.to_python(text)
    except MALFORMED as error:
        raise Fault(f"holds {shown(text)}, which the field cannot read") from error


def _write_column(instance: models.Model, field: models.Field[Any, Any], value: Any) -> str:
    if isinstance(value, FieldFile):
        value = value.name
    try:
        return write(plain(value), 1)
    except Fault as fault:
        try:
            return f'{{"$field":{field_text(instance, field, value)}}}'
        except MALFORMED as error:
            raise fault.inside(f".{field.attname}") from error
