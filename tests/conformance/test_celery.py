"""Celery, on each broker, against a worker process."""

from __future__ import annotations

import re
import shutil
import tempfile
import unittest
import uuid
from pathlib import Path
from typing import Any

import pytest

from signals_plus.conformance.suite import RECEIVERS, BackendSuite
from tests.services import broker_url, closed_port, payloads_in, through


class CelerySuite(BackendSuite):
    """What the brokers have in common."""

    backend = {"BACKEND": "signals_plus.backends.celery.CeleryBackend"}  # noqa: RUF012
    installed_apps = ("tests.celery_project",)
    worker_is_ready = " ready."
    retry_options = "tests.celery_project.RETRY"
    says_unknown = "Received unregistered task of type"
    kind_of_broker = ""

    @classmethod
    def set_up_queue(cls) -> None:
        queue = f"signals-plus-{uuid.uuid4().hex}"
        cls.other_queue = f"{queue}-other"
        url = cls.url()
        cls.settings = {**cls.common(queue), "CELERY_BROKER_URL": url}
        if cls.kind_of_broker:
            refusing = through(url, closed_port())
            cls.unreachable = {"refuses": {"CELERY_BROKER_URL": refusing}}
        cls.worker = [
            "-m", "celery", "-A", "tests.celery_project", "worker", "--pool", "solo", "-l", "INFO",
            # A node of its own name: RabbitMQ gives the queue of a node's mailbox to one only.
            "-n", f"{queue}@%h", "--without-gossip", "-Q", f"{queue},{cls.other_queue}",
        ]  # fmt: skip

    @classmethod
    def url(cls) -> str:
        return broker_url(cls.kind_of_broker)

    def test_lists_each_task_at_its_start(self) -> None:
        """What the worker says at its start is what a monitor shows."""
        assert f"  . {RECEIVERS}.save_page_again" in self.log()
        assert "  . a closure" in self.log()

    def test_gives_each_task_an_id_of_its_own(self) -> None:
        """Those of one transaction are copies of one message."""
        self.web.play("many")

        self.work_off()
        ids = re.findall(rf"Task {RECEIVERS}\.see_every_row\[(.*?)\] received", self.log())
        assert len(ids) >= 250
        assert len(set(ids)) == len(ids)

    @classmethod
    def common(cls, queue: str) -> dict[str, Any]:
        return {
            "CELERY_TASK_DEFAULT_QUEUE": queue,
            "CELERY_WORKER_HIJACK_ROOT_LOGGER": False,
            "CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP": True,
        }

    @classmethod
    def tear_down_queue(cls) -> None:
        for queue in (cls.settings["CELERY_TASK_DEFAULT_QUEUE"], cls.other_queue):
            payloads_in(cls.settings["CELERY_BROKER_URL"], queue)


@pytest.mark.services
class TestRedis(CelerySuite, unittest.TestCase):
    kind_of_broker = "redis"
    priorities = (9, 3)

    @classmethod
    def common(cls, queue: str) -> dict[str, Any]:
        return {
            **super().common(queue),
            "CELERY_BROKER_TRANSPORT_OPTIONS": {"socket_timeout": 30},
        }


@pytest.mark.services
class TestRabbitMQ(CelerySuite, unittest.TestCase):
    kind_of_broker = "amqp"
    priorities = (1, 5)

    @classmethod
    def common(cls, queue: str) -> dict[str, Any]:
        return {**super().common(queue), "CELERY_TASK_QUEUE_MAX_PRIORITY": 10}


class TestFiles(CelerySuite, unittest.TestCase):
    """The transport of the example project: it keeps messages in order, which kombu's does not."""

    @classmethod
    def url(cls) -> str:
        return "filesystem://"

    @classmethod
    def common(cls, queue: str) -> dict[str, Any]:
        folder = Path(tempfile.mkdtemp(prefix="signals-plus-queue-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        return {
            **super().common(queue),
            "CELERY_BROKER_TRANSPORT": "example_project.config.transport:Transport",
            "CELERY_BROKER_TRANSPORT_OPTIONS": {
                "data_folder_in": str(folder),
                "data_folder_out": str(folder),
                "control_folder": str(folder / "control"),
                "polling_interval": 0.05,
            },
        }

    @classmethod
    def tear_down_queue(cls) -> None:
        """The folder goes with the class."""

    def test_prefers_a_priority(self) -> None:
        """This transport has none: ``W012`` says so."""
