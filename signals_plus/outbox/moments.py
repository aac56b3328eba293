"""The database's own time, for queries through the ORM.

Not Django's ``Now()``: on MariaDB and MySQL that is in the session's time zone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Expression, FloatField

from .dialects import dialect_of
from .states import TABLE

if TYPE_CHECKING:
    from django.db.models.sql.compiler import SQLCompiler


class Moment(Expression):
    """So many seconds from now, or before now."""

    output_field = DateTimeField()

    def __init__(self, seconds: float = 0) -> None:
        super().__init__()
        self.seconds = seconds

    def as_sql(
        self,
        compiler: SQLCompiler,  # noqa: ARG002 - Django's
        connection: BaseDatabaseWrapper,
    ) -> tuple[str, tuple[Any, ...]]:
        return dialect_of(connection, TABLE).later, (self.seconds,)


class Age(Expression):
    """Seconds since a message was written."""

    output_field = FloatField()

    def as_sql(
        self,
        compiler: SQLCompiler,  # noqa: ARG002 - Django's
        connection: BaseDatabaseWrapper,
    ) -> tuple[str, tuple[Any, ...]]:
        return dialect_of(connection, TABLE).age, ()
