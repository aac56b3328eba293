"""RQ, against the workers that django-rq starts."""

from __future__ import annotations

import subprocess
import sys
import unittest
import uuid
from typing import Any, ClassVar

import pytest

from signals_plus.backends.by_name import path_of
from signals_plus.conformance.suite import RECEIVERS, BackendSuite
from tests.rq_project import open_queue, remove
from tests.services import broker_url, closed_port, silent_port, through

# What Django's admin needs.
ADMIN = {
    "ROOT_URLCONF": "tests.rq_project.urls",
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                    "django.template.context_processors.request",
                ],
            },
        },
    ],
}


class RQSuite(BackendSuite):
    """What the workers have in common."""

    installed_apps = (
        "django_rq", "django.contrib.admin", "django.contrib.auth", "django.contrib.messages",
    )  # fmt: skip
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
        return {"RQ_QUEUES": {cls.queue: entry, cls.other_queue: entry}, **ADMIN}

    @classmethod
    def tear_down_queue(cls) -> None:
        for name, entry in cls.settings["RQ_QUEUES"].items():
            remove(open_queue(name, entry))

    def names_in_monitor(self) -> str:
        # The admin shows the path of a job, where the dots of its receiver's name are colons.
        return self.page("finished").replace(":", ".")

    def page(self, kind: str) -> str:
        """Return a list of jobs as the admin shows it."""
        return subprocess.run(
            [sys.executable, "-m", "tests.rq_project.admin", kind],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def test_names_each_job_in_the_workers_log(self) -> None:
        self.web.play("Page")

        self.work_off()
        assert f"{self.queue}: {RECEIVERS}.save_page_again (" in self.log()

    def test_names_each_job_that_failed(self) -> None:
        """Where it can be run again."""
        self.web.play("Failing")

        self.work_off()
        assert path_of(f"{RECEIVERS}.fail") in self.page("failed")

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
