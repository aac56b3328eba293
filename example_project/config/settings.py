"""Settings of the example: SQLite, mails as files, and one of several queues.

Environment: ``SHOP_VAR``, the folder that holds all state (default ``example_project/var``);
``SHOP_QUEUE``, the queue: a file of ``config/queues`` (default ``celery``);
``CELERY_BROKER_URL``, Celery's broker (``redis://...``, ``amqp://...``; default: a folder).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core import mail

from . import queues

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("SHOP_VAR", BASE_DIR / "var"))
VAR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = "an example has no secrets"  # noqa: S105
USE_TZ = True

# What the queue needs, and the options that the receiver of mails gives it.
QUEUE_APPS: list[str] = []
MAIL_OPTIONS: dict[str, Any] = {}
globals().update(queues.chosen().settings(VAR))
# A message that waits in the outbox can be lost by no worker; where there is none, there is no use.
DURABLE = bool(queues.chosen().worker(VAR))

INSTALLED_APPS = [*QUEUE_APPS, "signals_plus", "signals_plus.outbox", "shop"]
# Seconds until the relay sees what a worker should have done. A demo cannot wait for 30, but has to
# for longer than a queue may take that does not answer.
SIGNALS_PLUS_OUTBOX_GRACE = 2.1
# The demo has a receiver of its own, by which it sees how far the worker is.
SIGNALS_PLUS_AUTODISCOVER = ["receivers", "demo.receivers"]

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

# The shop's log is what the demo reads: one JSON line for each thing that happened.
TRACE = VAR / "trace.jsonl"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    # A queue in the process says of each task that it ran; so do the receivers themselves.
    "filters": {
        "no_runs": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: " ran in " not in record.getMessage(),
        },
    },
    "handlers": {
        "trace": {
            "class": "shop.trace.TraceHandler",
            "filename": TRACE,
            "delay": True,
            "filters": ["no_runs"],
        },
    },
    "loggers": {
        "shop": {"handlers": ["trace"], "level": "INFO"},
        # DEBUG: the package says which receiver its guard skipped.
        "signals_plus": {"handlers": ["trace"], "level": "DEBUG"},
    },
}
