"""The tables of Django-Q2, which the test settings do not install."""

from __future__ import annotations

from django.conf import settings
from django.db import connections
from django.test import override_settings
from django_q.models import OrmQ, Schedule, Task


def installed() -> override_settings:
    """Return a block in which ``django_q`` is installed."""
    return override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "django_q"])


def make_tables() -> None:
    """Make what is missing, on all databases."""
    for connection in connections.all():
        existing = connection.introspection.table_names()
        with connection.schema_editor() as editor:
            for model in (OrmQ, Task, Schedule):
                if model._meta.db_table not in existing:
                    editor.create_model(model)
