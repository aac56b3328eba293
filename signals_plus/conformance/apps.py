"""The app of the conformance suite."""

from __future__ import annotations

from django.apps import AppConfig


class ConformanceConfig(AppConfig):
    """Rows and receivers for the tests of a backend."""

    name = "signals_plus.conformance"
    label = "signals_plus_conformance"
    default_auto_field = "django.db.models.BigAutoField"
