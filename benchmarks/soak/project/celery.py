"""The Celery app, and the signs of its workers that the soak waits for."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.soak.project.settings")

app = Celery("soak")
app.config_from_object("django.conf:settings", namespace="CELERY")
