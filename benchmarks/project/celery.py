"""The Celery app, as the Celery documentation tells projects to make it."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.project.settings")

app = Celery("benchmarks")
app.config_from_object("django.conf:settings", namespace="CELERY")
