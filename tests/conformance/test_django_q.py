"""Django-Q2, on each broker, against clusters in processes of their own."""

from __future__ import annotations

import sqlite3
import unittest
import uuid
from collections.abc import Mapping
from contextlib import closing
from typing import Any, ClassVar

import pytest
from django_q.conf import Conf
from picklefield.fields import dbsafe_decode
from redis import Redis

from signals_plus.conformance.processes import Worker, eventually
from signals_plus.conformance.suite import RECEIVERS, BackendSuite
from tests.services import broker_url, closed_port, through

BACKEND = "signals_plus.backends.django_q.DjangoQBackend"


class DjangoQSuite(BackendSuite):
    """What the brokers have in common. A cluster works for one queue: there are two of them."""

    backend = {"BACKEND": BACKEND}  # noqa: RUF012
    installed_apps = ("django_q",)
    worker = ("-m", "django", "qcluster")
    worker_is_ready = " running."
    broker: ClassVar[Mapping[str, Any]]
    other_worker: ClassVar[Worker]

    @classmethod
    def set_up_queue(cls) -> None:
        name = f"signals-plus-{uuid.uuid4().hex}"
        cls.other_queue = f"{name}-other"
        cluster = {
            "name": name,
            "ALT_CLUSTERS": {cls.other_queue: {}},
            "workers": 1,
            "save_limit": 0,  # keeps all
            "poll": 0.05,
            "guard_cycle": 0.1,
            "timeout": 4,
            "retry": 5,
            "max_attempts": 5,
            "ack_failures": True,
            **cls.broker,
        }
        cls.settings = {"Q_CLUSTER": cluster}
        # It was read when Django-Q2 was imported.
        patch = pytest.MonkeyPatch()
        patch.setattr(Conf, "ORM", cls.broker.get("orm"))
        cls.addClassCleanup(patch.undo)

    @classmethod
    def start_worker(cls) -> None:
        super().start_worker()
        cls.other_worker = Worker(
            cls.worker,
            cls.worker_is_ready,
            {**cls.environment(), "Q_CLUSTER_NAME": cls.other_queue},
            cls.folder / "other-worker.log",
        )

    @classmethod
    def end_worker(cls) -> int:
        cls.other_worker.end()
        return super().end_worker()

    def names_in_monitor(self) -> str:
        return "\n".join(name for name, _ in self.tasks(success=True))

    def shown_failures(self) -> str:
        return "\n".join(dbsafe_decode(result) for _, result in self.tasks(success=False))

    def tasks(self, *, success: bool) -> list[tuple[str, str]]:
        """Return the names and results of what the admin shows, once all of it is there."""
        with closing(sqlite3.connect(self.folder / "default.sqlite3")) as connection:
            select = "SELECT name, result FROM django_q_task WHERE success = ?"

            def is_complete() -> bool:
                saved = [name for name, _ in connection.execute(select, [True])]
                return saved.count(f"{RECEIVERS}.mark") == len(self.runs("mark"))

            eventually(is_complete, "the monitor has saved what is done")
            return connection.execute(select, [success]).fetchall()


class TestOrm(DjangoQSuite, unittest.TestCase):
    broker = {"orm": "default"}  # noqa: RUF012
    retry_options = "tests.django_q_project.RETRY"

    @classmethod
    def set_up_queue(cls) -> None:
        super().set_up_queue()
        cls.unreachable = cls.without_a_database()

    @classmethod
    def without_a_database(cls) -> dict[str, dict[str, Any]]:
        """Return settings in which the rows of the queue are on a database that is not there."""
        databases = {
            alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": str(cls.folder / name)}
            for alias, name in (
                ("default", "default.sqlite3"),
                ("other", "other.sqlite3"),
                ("queue", "nowhere/queue.sqlite3"),
            )
        }
        cluster = {**cls.settings["Q_CLUSTER"], "orm": "queue"}
        return {"no database": {"DATABASES": databases, "Q_CLUSTER": cluster}}


class TestOrmInTransaction(TestOrm):
    """Tasks are rows of the transaction."""

    backend = {"BACKEND": BACKEND, "OPTIONS": {"enqueue_in_transaction": True}}  # noqa: RUF012

    @classmethod
    def without_a_database(cls) -> dict[str, dict[str, Any]]:
        """Nothing: without the database there is no row either."""
        return {}


@pytest.mark.services
class TestRedis(DjangoQSuite, unittest.TestCase):
    @classmethod
    def set_up_queue(cls) -> None:
        url = broker_url("redis")
        cls.broker = {"redis": url}
        super().set_up_queue()
        cluster = {**cls.settings["Q_CLUSTER"], "redis": through(url, closed_port())}
        cls.unreachable = {"refuses": {"Q_CLUSTER": cluster}}

    @classmethod
    def tear_down_queue(cls) -> None:
        queues = (cls.settings["Q_CLUSTER"]["name"], cls.other_queue)
        with Redis.from_url(cls.broker["redis"]) as redis:
            redis.delete(*(f"django_q:{queue}:q" for queue in queues))
