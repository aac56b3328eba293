"""Settings; what differs from run to run comes from the environment."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["BENCHMARKS_FOLDER"])

SECRET_KEY = "benchmarks"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "signals_plus",
    "signals_plus.outbox",
    "benchmarks.project",
    *(each for each in ("django_rq", "django_q", "django_tasks_db") if find_spec(each)),
]


def _database(alias: str) -> dict[str, Any]:
    if os.environ["BENCHMARKS_DATABASE"] == "postgresql":
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "USER": os.environ.get("PGUSER", "postgres"),
            "NAME": "postgres",
            "TEST": {"NAME": f"signals_plus_benchmarks_{os.getpid()}_{alias}"},
        }
    name = FOLDER / f"{alias}.sqlite3"
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        # Without waiting for the disk, which would drown what is to be seen.
        "OPTIONS": {"timeout": 30, "init_command": "PRAGMA synchronous=OFF"},
        # Workers keep their connection: to open one for each task costs more than the task.
        "CONN_MAX_AGE": None,
        "TEST": {"NAME": name},
    }


DATABASES = {alias: _database(alias) for alias in ("default", "other")}

# Each comparison connects its own receivers; what a worker runs, it is told to import.
SIGNALS_PLUS_AUTODISCOVER: list[str] = []
CELERY_IMPORTS = ["benchmarks.project.receivers"]

# Logging handlers are no part of what is measured.
LOGGING_CONFIG = None

CELERY_BROKER_URL = os.environ["BENCHMARKS_BROKER_URL"]
CELERY_TASK_DEFAULT_QUEUE = os.environ["BENCHMARKS_QUEUE"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

# celery-signal-receivers asks for it.
EVENT_SIGNALS_CELERY_APP = "benchmarks.project.celery.app"

# The queues beside Celery, for the comparison of what they cost.
SIGNALS_PLUS_BACKENDS = {
    alias: {"BACKEND": f"signals_plus.backends.{path}"}
    for alias, path in {
        "default": "celery.CeleryBackend",
        "rq": "rq.RQBackend",
        "django_q": "django_q.DjangoQBackend",
        "django_tasks": "django_tasks.DjangoTasksBackend",
        "thread": "thread.ThreadBackend",
    }.items()
}
RQ_QUEUES = {
    "default": {
        "URL": os.environ["BENCHMARKS_BROKER_URL"],
        "SERIALIZER": "rq.serializers.JSONSerializer",
    },
}
Q_CLUSTER = {"name": os.environ["BENCHMARKS_QUEUE"], "orm": "default"}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
