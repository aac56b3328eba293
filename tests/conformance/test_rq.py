"""RQ, against the workers that django-rq starts."""

from __future__ import annotations

import unittest
import uuid
from typing import Any, ClassVar

import pytest

from signals_plus.conformance.suite import BackendSuite
from tests.rq_project import jobs_of, open_queue, remove
from tests.services import broker_url, closed_port, silent_port, through


class RQSuite(BackendSuite):
    """What the workers have in common."""

    installed_apps = ("django_rq",)
    worker_is_ready = "started with PID"
    retry_options = "tests.rq_project.RETRY"
    # RQ has a job in no list of any kind while a worker of several queues takes it.
    lost_when_ended = 1
    queue: ClassVar[str]
    serializer: ClassVar[str]
    worker_class: ClassVar[str]

    @classmethod
    def set_up_queue(cls) -> None:
        cls.queue = f"signals-plus-{uuid.uuid4().hex}"
        cls.other_queue = f"{cls.queue}-other"
        cls.backend = {
            "BACKEND": "signals_plus.backends.rq.RQBackend",
            "OPTIONS": {"queue_name": cls.queue},
        }
        url = broker_url("redis")
        cls.settings = cls.settings_for(url)
        silent = cls.enterClassContext(silent_port())
        cls.unreachable = {
            "refuses": cls.settings_for(through(url, closed_port())),
            "is silent": cls.settings_for(through(url, silent)),
        }
        cls.worker = [
            "-m", "django", "rqworker", cls.queue, cls.other_queue, "--with-scheduler",
            "--serializer", cls.serializer, "--worker-class", cls.worker_class,
        ]  # fmt: skip

    @classmethod
    def settings_for(cls, url: str) -> dict[str, Any]:
        entry = {"URL": url, "SERIALIZER": cls.serializer}
        return {"RQ_QUEUES": {cls.queue: entry, cls.other_queue: entry}}

    @classmethod
    def tear_down_queue(cls) -> None:
        for name, entry in cls.settings["RQ_QUEUES"].items():
            remove(open_queue(name, entry))

    def names_in_monitor(self) -> str:
        jobs = jobs_of(open_queue(self.queue, self.settings["RQ_QUEUES"][self.queue]))
        return "\n".join(str(job.description) for job in jobs)

    def shown_failures(self) -> str:
        queue = open_queue(self.queue, self.settings["RQ_QUEUES"][self.queue])
        failed = queue.failed_job_registry.get_job_ids()
        return "\n".join(queue.fetch_job(job).latest_result().exc_string for job in failed)


@pytest.mark.services
class TestWorker(RQSuite, unittest.TestCase):
    """The worker that forks for each job, and jobs in JSON."""

    serializer = "rq.serializers.JSONSerializer"
    worker_class = "rq.worker.Worker"


@pytest.mark.services
class TestSimpleWorker(RQSuite, unittest.TestCase):
    """The worker that does not, and pickled jobs, as RQ has it by default."""

    serializer = "rq.serializers.DefaultSerializer"
    worker_class = "rq.worker.SimpleWorker"
