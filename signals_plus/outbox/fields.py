"""A column of names that are equal only if they are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


class NameField(models.CharField):  # type: ignore[type-arg]
    """Compares as Python does: on MariaDB and MySQL "a" would be "A", and "a" with an accent."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters
