"""The Celery app, which is not for the process of the tests."""

from __future__ import annotations

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "tests.outbox_project"

    def ready(self) -> None:
        from tests.celery_project import app

        app.set_current()
