"""Settings of the project; what differs from test to test comes from the environment."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(os.environ["WORKER_PROJECT_FOLDER"])

SECRET_KEY = "tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "signals_plus", "tests.worker_project"]
DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / f"{alias}.sqlite3",
        "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
    }
    for alias in ("default", "other")
}

CELERY_BROKER_URL = os.environ["WORKER_PROJECT_BROKER"]
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 30} if "redis" in CELERY_BROKER_URL else {}
CELERY_TASK_DEFAULT_QUEUE = os.environ["WORKER_PROJECT_QUEUE"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
