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

from signals_plus.conformance.processes import Worker
from signals_plus.conformance.suite import BackendSuite
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
            "poll": 0.05,
            "guard_cycle": 0.1,
            "timeout": 4,
            "retry": 5,
            "max_attempts": 5,
            "ack_failures": True,
            **cls.broker,
        }
        cls.settings = {**cls.settings, "Q_CLUSTER": cluster}
        # The process of the tests asks a backend of its own what it supports.
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
        """Return the names and results that the admin shows."""
        with closing(sqlite3.connect(self.folder / "default.sqlite3")) as connection:
            return connection.execute(
                "SELECT name, result FROM django_q_task WHERE success = ?", [success]
            ).fetchall()


class TestOrm(DjangoQSuite, unittest.TestCase):
    broker = {"orm": "default"}  # noqa: RUF012
    retry_options = "tests.django_q_project.RETRY"


class TestOrmInTransaction(TestOrm):
    """Tasks are rows of the transaction."""

    backend = {"BACKEND": BACKEND, "OPTIONS": {"enqueue_in_transaction": True}}  # noqa: RUF012
    settings = {"CONFORMANCE_MERGES": False}  # noqa: RUF012


@pytest.mark.services
class TestRedis(DjangoQSuite, unittest.TestCase):
    @classmethod
    def set_up_queue(cls) -> None:
        url = broker_url("redis")
        cls.broker = {"redis": url}
        super().set_up_queue()
        clusters = {
            problem: {**cls.settings["Q_CLUSTER"], "redis": through(url, port)}
            for problem, port in {"refuses": closed_port()}.items()
        }
        cls.unreachable = {
            problem: {"Q_CLUSTER": cluster} for problem, cluster in clusters.items()
        }

    @classmethod
    def tear_down_queue(cls) -> None:
        queues = (cls.settings["Q_CLUSTER"]["name"], cls.other_queue)
        with Redis.from_url(cls.broker["redis"]) as redis:
            redis.delete(*(f"django_q:{queue}:q" for queue in queues))
