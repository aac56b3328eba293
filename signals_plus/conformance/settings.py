"""Settings of the project that the suite runs; what a backend adds comes from the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_GIVEN: dict[str, Any] = json.loads(os.environ["SIGNALS_PLUS_CONFORMANCE"])

FOLDER = Path(_GIVEN["folder"])

SECRET_KEY = "conformance"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "signals_plus",
    "signals_plus.outbox",
    "signals_plus.conformance",
    *_GIVEN["apps"],
]
DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / f"{alias}.sqlite3",
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL",
            "timeout": 30,
            "transaction_mode": "IMMEDIATE",
        },
    }
    for alias in ("default", "other")
}

# Options of the backend, given to receivers that fail; the dotted path of a dictionary.
CONFORMANCE_RETRY_OPTIONS = ""
# The name of a second queue that the worker takes from.
CONFORMANCE_QUEUE_NAME = ""
# Two priorities, of which the queue prefers the second.
CONFORMANCE_PRIORITIES: list[int] = []
CONFORMANCE_RUN_AFTER = False
CONFORMANCE_MERGES = True
CONFORMANCE_DURABLE = True
CONFORMANCE_ALIASES = ["default", "other"]

globals().update(_GIVEN["settings"])
