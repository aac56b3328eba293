"""A Celery app for the conformance suite; its web process and its worker both import it."""

from __future__ import annotations

from celery import Celery

app = Celery("celery_project")
app.config_from_object("django.conf:settings", namespace="CELERY")

RETRY = {"autoretry_for": (LookupError,), "retry_kwargs": {"countdown": 0}, "max_retries": 5}
