"""Settings of the test suite. ``SIGNALS_PLUS_TEST_DATABASE`` chooses the database server."""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

SECRET_KEY = "tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "django_tasks_db",
    "signals_plus",
    "signals_plus.outbox",
    "tests.testapp",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
MIGRATION_MODULES = {"django_tasks_database": None}  # its table at once, not in twenty steps
# Read when Django-Q2 is imported; a test that wants another changes what was read.
Q_CLUSTER = {"name": "signals-plus-tests", "orm": "default", "timeout": 30, "retry": 60}


def _databases(server: str) -> dict[str, dict[str, Any]]:
    if server == "sqlite":
        # Files, not memory: an in-memory database survives close() and hides faults.
        folder = Path(tempfile.gettempdir()) / f"signals-plus-tests-{os.getpid()}"
        folder.mkdir(exist_ok=True)
        return {
            alias: {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / f"{alias}.sqlite3",
                # A test need not survive a power cut, and is twice as fast without.
                "OPTIONS": {"timeout": 10, "init_command": "PRAGMA synchronous=OFF"},
                "TEST": {"NAME": folder / f"test_{alias}.sqlite3"},
            }
            for alias in ("default", "other")
        }
    if server == "postgresql":
        connection: dict[str, Any] = {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "USER": os.environ.get("PGUSER", "postgres"),
            # As above. What a commit has to survive here is a process that dies, not the server.
            "OPTIONS": {"options": "-c synchronous_commit=off"},
        }
    elif server == "mysql":
        import pymysql

        pymysql.version_info = (2, 2, 8, "final", 0)  # Django asks for mysqlclient's version
        pymysql.install_as_MySQLdb()
        connection = {"ENGINE": "django.db.backends.mysql", "HOST": "127.0.0.1", "USER": "root"}
    else:
        raise ValueError(f"SIGNALS_PLUS_TEST_DATABASE={server!r}: sqlite, postgresql or mysql")
    # By checkout: two of them, tested at a time, would drop each other's databases.
    checkout = f"{zlib.crc32(os.fsencode(Path(__file__).parent)):08x}"
    return {
        alias: {**connection, "NAME": "test", "TEST": {"NAME": f"signals_plus_{checkout}_{alias}"}}
        for alias in ("default", "other")
    }


DATABASES = _databases(os.environ.get("SIGNALS_PLUS_TEST_DATABASE", "sqlite"))
