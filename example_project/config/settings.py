"""Settings of the example: SQLite, mails as files, Celery over a folder.

Environment: ``SHOP_VAR``, the folder that holds all state (default ``example_project/var``);
``CELERY_BROKER_URL``, a real broker in place of the folder (``redis://...``, ``amqp://...``).
"""

from __future__ import annotations

import os
from pathlib import Path

from django.core import mail

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("SHOP_VAR", BASE_DIR / "var"))
QUEUE_FOLDER = VAR / "queue"
QUEUE_FOLDER.mkdir(parents=True, exist_ok=True)

SECRET_KEY = "an example has no secrets"  # noqa: S105
USE_TZ = True
INSTALLED_APPS = ["signals_plus", "shop"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR / "shop.sqlite3",
        "OPTIONS": {
            # Two processes write: readers do not wait for a writer, writers wait for each other.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 10,
        },
    }
}

MAIL_FOLDER = VAR / "mails"
_MAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
if hasattr(mail, "mailers"):  # Django 6.1
    MAILERS = {"default": {"BACKEND": _MAIL_BACKEND, "OPTIONS": {"file_path": str(MAIL_FOLDER)}}}
else:
    EMAIL_BACKEND = _MAIL_BACKEND
    EMAIL_FILE_PATH = MAIL_FOLDER

# Two shops on one broker must not take each other's tasks.
CELERY_TASK_DEFAULT_QUEUE = VAR.name
# A worker without its broker says so and ends, instead of trying again for ever.
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = False
if CELERY_BROKER_URL := os.environ.get("CELERY_BROKER_URL"):
    if CELERY_BROKER_URL.startswith("redis"):
        CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 5}
else:
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT = "config.transport:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": QUEUE_FOLDER,
        "data_folder_out": QUEUE_FOLDER,
        "control_folder": QUEUE_FOLDER / "control",
        "polling_interval": 0.05,
    }

# The shop's log is what the demo reads: one JSON line for each thing that happened.
TRACE = VAR / "trace.jsonl"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"trace": {"class": "shop.trace.TraceHandler", "filename": TRACE, "delay": True}},
    "loggers": {
        "shop": {"handlers": ["trace"], "level": "INFO"},
        # DEBUG: the package says which receiver its guard skipped.
        "signals_plus": {"handlers": ["trace"], "level": "DEBUG"},
    },
}
