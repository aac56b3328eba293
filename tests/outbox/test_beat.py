"""The relay as a Celery task that beat sends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.models import F
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.outbox import beat, databases, relay
from signals_plus.testing import capture_tasks
from tests.outbox.conftest import Outbox, committing_tests
from tests.outbox.test_commands import NoDatabase, handle, write
from tests.outbox_project import NAME
from tests.services import broker_url, eventually, payloads_in
from tests.testapp.models import Item

ROOT = Path(__file__).parents[2]


@committing_tests
class TestRelay:
    @pytest.fixture(autouse=True)
    def _receiver(self, outbox: Outbox) -> None:
        receiver_task(post_save, sender=Item, durable=True)(handle)

    def enqueued(self, tasks: capture_tasks) -> list[str]:
        return [json.loads(task.payload)["message"] for task in tasks]

    def test_works_off_all_that_is_due(
        self, tasks: capture_tasks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """More than one batch, of all databases."""
        monkeypatch.setattr(relay, "BATCH", 2)
        messages = [*(write() for _ in range(5)), write("other")]
        write(due_at=F("due_at") + timedelta(hours=1))

        assert beat.relay() == 6

        assert {*self.enqueued(tasks)} == {str(each.message_id) for each in messages}
        assert beat.relay() == 0

    def test_of_one_database(self, tasks: capture_tasks) -> None:
        write()
        there = write("other")

        assert beat.relay(aliases=["other"]) == 1
        assert self.enqueued(tasks) == [str(there.message_id)]

    def test_ends_in_time(self, tasks: capture_tasks) -> None:
        """What is left is for the next pass."""
        write()

        assert beat.relay(seconds=0) == 0
        assert beat.relay() == 1

    def test_says_that_there_is_no_outbox(self, settings: Any) -> None:
        settings.DATABASE_ROUTERS = [f"{NoDatabase.__module__}.{NoDatabase.__name__}"]

        with pytest.raises(databases.NoOutboxError, match="No database of DATABASES"):
            beat.relay()


@pytest.mark.services
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_with_beat_and_a_worker(tmp_path: Path) -> None:
    """As the page on deploying has it: Celery finds the task, and beat sends it."""
    url, queue, file = broker_url("redis"), f"signals-plus-{uuid.uuid4().hex}", tmp_path / "queue"
    message = write(receiver=NAME)
    project = {
        "databases": {
            each.alias: {"NAME": str(each.settings_dict["NAME"])} for each in connections.all()
        },
        "backend": {"BACKEND": "tests.outbox_project.queue.FileBackend"},
        "broker": url,
        "settings": {
            "CELERY_TASK_DEFAULT_QUEUE": queue,
            "CELERY_IMPORTS": ["signals_plus.outbox.beat"],
            "CELERY_BEAT_SCHEDULE": {
                "relay": {"task": beat.NAME, "schedule": 1, "options": {"expires": 10}}
            },
        },
    }
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            [
                sys.executable, "-m", "celery", "-A", "tests.celery_project", "worker", "--beat",
                "--schedule", str(tmp_path / "beat"), "--concurrency", "1", "-l", "INFO",
                "-n", f"{queue}@%h",
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.outbox_project.settings",
                "OUTBOX_PROJECT": json.dumps(project),
                "OUTBOX_QUEUE": str(file),
            },
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        eventually(lambda: file.exists() and str(message.message_id) in file.read_text())
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    finally:
        worker.kill()
        worker.wait()
        payloads_in(url, queue)

    said = (tmp_path / "log").read_text()
    assert f"  . {beat.NAME}\n" in said
    assert "succeeded in" in said
