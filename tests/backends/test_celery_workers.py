"""Real worker processes on real brokers: what runs, how often, and with which arguments.

Each broker has one worker and one queue of its own for all tests of this file; tests/worker_project
is what it runs. Rows are saved by other processes still, as a web server would.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.services import broker_url, each_broker, eventually, payloads_in

pytestmark = pytest.mark.services

ROOT = Path(__file__).parent.parent.parent


class Project:
    """The project's database, its queue, and a worker process."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self.broker = broker
        self.queue = f"signals-plus-{uuid.uuid4().hex}"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.worker_project.settings",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "WORKER_PROJECT_FOLDER": str(folder),
            "WORKER_PROJECT_BROKER": broker,
            "WORKER_PROJECT_QUEUE": self.queue,
        }
        self.log = folder / "worker.log"

    def start(self) -> None:
        """Start a worker in a process group of its own, and wait until it takes tasks."""
        self.send("migrate")
        # A node of its own name: RabbitMQ gives the queue of a node's mailbox to one worker only.
        command = ["celery", "-A", "tests.worker_project", "worker", "--pool", "solo", "-l", "INFO"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command, "-n", f"{self.queue}@%h", "--without-gossip"],
                env=self.environment, cwd=self.folder, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        eventually(self.is_ready, seconds=60)

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the worker ended with {self.process.returncode}:\n{self.said()}")
        return " ready." in self.said()

    def stop(self) -> None:
        """End the worker, and take the queue out of the broker."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        payloads_in(self.broker, self.queue)

    def said(self) -> str:
        return self.log.read_text()

    def ids(self, receiver: str) -> list[str]:
        """Return the ids of the tasks that the worker says it has received."""
        return re.findall(
            rf"Task tests\.worker_project\.receivers\.{receiver}\[(.*?)\] received", self.said()
        )

    def send(self, *scenarios: str) -> None:
        """Let a process of its own save what the scenarios save."""
        subprocess.run(
            [sys.executable, "-m", "tests.worker_project.send", *scenarios],
            env=self.environment, cwd=self.folder, check=True, timeout=60,
        )  # fmt: skip

    def runs(self, receiver: str) -> list[dict[str, Any]]:
        """Return what each execution of a receiver wrote down."""
        database = sqlite3.connect(self.folder / "default.sqlite3", timeout=30)
        try:
            rows = database.execute(
                "SELECT pid, detail FROM worker_project_run WHERE receiver = ? ORDER BY id",
                [receiver],
            ).fetchall()
        finally:
            database.close()
        return [{"pid": pid, **json.loads(detail)} for pid, detail in rows]

    def value(self, query: str) -> Any:
        """Return one value from the database."""
        database = sqlite3.connect(self.folder / "default.sqlite3", timeout=30)
        try:
            return database.execute(query).fetchone()[0]
        finally:
            database.close()

    def work_off(self) -> None:
        """Wait until all that was in the queue is done, and what that put into the queue.

        The worker takes one task after the other: when a marker is done, so is all before it.
        When nothing else ran between two markers, nothing is left.
        """
        before = None
        while before != (ran := self.value(OTHER_RUNS)):
            before = ran
            markers = len(self.runs("mark"))
            self.send("Marker")
            eventually(
                lambda count=markers: len(self.runs("mark")) > count,  # type: ignore[misc]
                seconds=60,
            )
            if ran > 200:
                pytest.fail("a chain of tasks does not end")


OTHER_RUNS = "SELECT COUNT(*) FROM worker_project_run WHERE receiver != 'mark'"


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Project]]:
    started: dict[str, Project] = {}
    yield started
    for project in started.values():
        project.stop()


@pytest.fixture
def project(
    kind: str, projects: dict[str, Project], tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return the project on the broker of the parameter ``kind``, its worker running."""
    if kind not in projects:
        made = Project(tmp_path_factory.mktemp(kind), broker_url(kind))
        made.start()
        projects[kind] = made
    return projects[kind]


@each_broker
class TestWorker:
    def test_runs_a_task_that_saves_its_own_row_once(self, kind: str, project: Project) -> None:
        """Not for ever: the message says what caused the save."""
        project.send("Page")

        project.work_off()

        runs = project.runs("save_page_again")
        assert len(runs) == 1
        assert runs[0]["pid"] == project.process.pid
        assert project.value("SELECT saves FROM worker_project_page") == 1

    def test_ends_a_pair_of_tasks_that_save_each_others_rows(
        self, kind: str, project: Project
    ) -> None:
        """A saves B, whose task saves A: one run of each for each save that nobody's task did."""
        project.send("pair")
        project.work_off()
        first = (len(project.runs("save_right")), len(project.runs("save_left")))
        project.send("pair_again")

        project.work_off()

        second = (len(project.runs("save_right")), len(project.runs("save_left")))
        # The pair is made by two saves, each of which starts a chain: left, right and right, left.
        assert first == (2, 2)
        assert second == (3, 3)

    def test_runs_a_closure_that_saves_its_own_row_once(self, kind: str, project: Project) -> None:
        """Its identity differs from process to process; its task's name does not."""
        project.send("Audited")

        project.work_off()

        assert len(project.runs("audit")) == 1
        assert "worker_project.audit" in project.said()

    def test_runs_nothing_for_what_was_rolled_back(self, kind: str, project: Project) -> None:
        """No row, no message."""
        before = len(project.runs("save_page_again"))

        project.send("rolled_back")

        project.work_off()
        assert len(project.runs("save_page_again")) == before

    def test_skips_a_row_that_is_gone(self, kind: str, project: Project) -> None:
        """The task succeeds without its function."""
        project.send("gone")

        project.work_off()

        assert project.runs("see_nothing") == []
        assert "tests.worker_project.receivers.see_nothing skipped" in project.said()

    def test_runs_each_of_many_events_once(self, kind: str, project: Project) -> None:
        """Those of one transaction, which are copies of the first message."""
        before = len(project.runs("mark"))

        project.send("many")

        eventually(lambda: len(project.runs("mark")) >= before + 300, seconds=60)
        project.work_off()
        # And the markers of work_off().
        assert len(project.runs("mark")) - before - 300 in {1, 2, 3}
        assert len(set(project.ids("mark"))) == len(project.ids("mark"))

    def test_runs_a_batch_for_each_thousand_events(self, kind: str, project: Project) -> None:
        """Every row of a transaction, once, in a handful of tasks."""
        project.send("imported")

        project.work_off()

        numbers = [run["numbers"] for run in project.runs("count")]
        assert [len(each) for each in numbers] == [1000, 1000, 500]
        assert [*chain(*numbers)] == [*range(2500)]

    def test_gives_what_is_no_row(self, kind: str, project: Project) -> None:
        """The keys of m2m_changed, a type of the project's own, and what was deleted."""
        project.send("parcel")
        project.work_off()
        project.send("parcel_gone")
        project.work_off()

        pid = project.process.pid
        assert project.runs("stick") == [
            {"pid": pid, "name": "a", "action": action, "pks": "{7}"}
            for action in ("pre_add", "post_add")
        ]
        assert project.runs("book") == [
            {"pid": pid, "name": "a", "price": "Price(amount=Decimal('9.90'), currency='EUR')"}
        ]
        assert project.runs("forget") == [{"pid": pid, "pk": 1, "name": "a", "origin": "Parcel"}]

    def test_retries_as_celery_was_told(self, kind: str, project: Project) -> None:
        """autoretry_for and its companions are Celery's own."""
        project.send("Flaky")

        eventually(lambda: len(project.runs("fail_twice")) == 3)
        project.work_off()
        assert len(project.runs("fail_twice")) == 3

    def test_runs_a_task_when_its_time_has_come(self, kind: str, project: Project) -> None:
        """countdown= reaches the broker."""
        project.send("Slow")

        eventually(lambda: len(project.runs("run_later")) == 1)

    def test_gives_the_arguments_the_signal_was_sent_with(
        self, kind: str, project: Project
    ) -> None:
        """Each kind of row, from its own database, to an async receiver."""
        before = len(project.runs("describe"))
        project.send("described")

        project.work_off()

        runs = [{**run, "pid": None} for run in project.runs("describe")[before:]]
        *created, updated = runs
        key = "12345678-1234-5678-1234-567812345678"
        rows = [
            ("Described", "1"), ("Child", "2"), ("Proxy", "3"), ("UuidRow", key),
            ("CompositeRow", "('a', 5)"), ("Hidden", "1"),
        ]  # fmt: skip
        common = {"pid": None, "raw": False, "signal": True}
        assert created == [
            {
                **common, "sender": name, "instance": name, "pk": pk, "db": alias, "using": alias,
                "created": True, "update_fields": None,
            }
            for alias in ("default", "other")
            for name, pk in rows
        ]  # fmt: skip
        assert updated == {
            **common, "sender": "Described", "instance": "Described", "pk": "1", "db": "default",
            "using": "default", "created": False, "update_fields": ["frozenset", "name"],
        }  # fmt: skip

    def test_names_each_task_by_its_receiver(self, kind: str, project: Project) -> None:
        """What the worker says at its start is what a monitor shows."""
        assert "  . tests.worker_project.receivers.save_page_again" in project.said()
        assert "  . worker_project.audit" in project.said()
