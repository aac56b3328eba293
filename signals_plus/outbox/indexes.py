"""An index of few rows, where the database has such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.backends.ddl_references import Statement


class LeanIndex(models.Index):
    """Index the rows that meet a condition; all rows on MariaDB and MySQL.

    Django's own index is not made there at all, and each ``migrate`` warns of it.
    """

    def __init__(self, *fields: str, name: str, rows: models.Q) -> None:
        super().__init__(fields=fields, name=name)
        self.rows = rows

    def deconstruct(self) -> tuple[str, Any, dict[str, Any]]:
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, tuple(self.fields), {"name": self.name, "rows": self.rows}

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kwargs: Any,
    ) -> Statement:
        condition = (
            self.rows if schema_editor.connection.features.supports_partial_indexes else None
        )
        index = models.Index(fields=self.fields, name=self.name, condition=condition)
        return index.create_sql(model, schema_editor, using, **kwargs)
