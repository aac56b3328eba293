"""Django's tasks: kept in the database by django-tasks-db, or run at once."""

from __future__ import annotations

import subprocess
import sys
import unittest
from importlib.util import find_spec

from signals_plus.conformance.suite import BackendSuite

BACKEND = "signals_plus.backends.django_tasks.DjangoTasksBackend"
FRAMEWORK = "django.tasks" if find_spec("django.tasks") else "django_tasks"
QUEUES = ["default", "other"]

# What the admin of django-tasks-db lists.
MONITOR = """
import django
django.setup()
from django_tasks_db.models import DBTaskResult
for row in DBTaskResult.objects.all():
    print(row.task_name, row.status, row.traceback)
"""


class Database(BackendSuite):
    """django-tasks-db, with its worker."""

    backend = {"BACKEND": BACKEND}  # noqa: RUF012
    installed_apps = ("django_tasks_db",)
    worker = (
        "-m", "django", "db_worker", "--queue-name", "default,other", "--interval", "0.02",
        "--no-startup-delay",
    )  # fmt: skip
    worker_is_ready = "Starting worker"
    other_queue = "other"
    priorities = (-50, 50)
    # Told to end while it commits that it takes a task, the worker leaves it RUNNING.
    lost_when_ended = 1
    settings = {  # noqa: RUF012
        "TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": QUEUES}},
    }

    def names_in_monitor(self) -> str:
        return self.rows()

    def shown_failures(self) -> str:
        return self.rows()

    def rows(self) -> str:
        return subprocess.run(
            [sys.executable, "-c", MONITOR],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout


class TestDatabase(Database, unittest.TestCase):
    @classmethod
    def set_up_queue(cls) -> None:
        names = {"default": "default", "other": "other", "queue": "no folder/queue"}
        databases = {
            alias: {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(cls.folder / f"{name}.sqlite3"),
            }
            for alias, name in names.items()
        }
        routers = ["tests.queues.QueueRouter"]
        cls.unreachable = {
            "cannot be opened": {"DATABASES": databases, "DATABASE_ROUTERS": routers},
        }


class TestDatabaseInTransaction(Database, unittest.TestCase):
    backend = {"BACKEND": BACKEND, "OPTIONS": {"enqueue_in_transaction": True}}  # noqa: RUF012


class TestImmediate(BackendSuite, unittest.TestCase):
    backend = {"BACKEND": BACKEND}  # noqa: RUF012
    other_queue = "other"
    settings = {  # noqa: RUF012
        "TASKS": {
            "default": {
                "BACKEND": f"{FRAMEWORK}.backends.immediate.ImmediateBackend",
                "QUEUES": QUEUES,
            },
        },
        "LOGGING": {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"console": {"class": "logging.StreamHandler"}},
            "root": {"handlers": ["console"], "level": "INFO"},
        },
    }

    def names_in_monitor(self) -> str:
        # The log has the path of a task, where the dots of its name are colons.
        return self.log().replace(":", ".")
