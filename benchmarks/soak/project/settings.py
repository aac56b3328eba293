"""Settings; what differs from run to run comes from the environment."""

from __future__ import annotations

import os
from typing import Any

SECRET_KEY = "soak"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "signals_plus",
    "signals_plus.outbox",
    "benchmarks.soak.project",
]


def _database(vendor: str, name: str) -> dict[str, Any]:
    if vendor == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": name,
            # Longer than anybody is paused: whoever is may have the one lock there is.
            "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
        }
    if vendor == "mysql":
        import pymysql  # noqa: PLC0415 - comes with the extra dev

        pymysql.version_info = (2, 2, 8, "final", 0)  # Django asks for mysqlclient's version
        pymysql.install_as_MySQLdb()
        server = {"ENGINE": "django.db.backends.mysql", "USER": "root"}
    else:
        user = os.environ.get("PGUSER", "postgres")
        server = {"ENGINE": "django.db.backends.postgresql", "USER": user}
    # Workers keep their connection: to open one for each task costs more than the task.
    return {**server, "HOST": "127.0.0.1", "NAME": name, "CONN_MAX_AGE": None}


DATABASES = {"default": _database(os.environ["SOAK_DATABASE"], os.environ["SOAK_NAME"])}

# Much shorter than anybody would have it, for more to happen in the time.
SIGNALS_PLUS_OUTBOX_GRACE = 3

CELERY_BROKER_URL = os.environ["SOAK_BROKER_URL"]
# What a worker had reserved when it was killed comes back soon: the controls shall lose no more
# than they have to.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 5}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
