"""A project of several processes on the databases of the test, and what becomes of its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.models import F

from signals_plus.backends.handler import backends
from signals_plus.outbox.models import Message
from signals_plus.outbox.relay import Relay
from tests.outbox.chaos import queue, shop
from tests.outbox.chaos.queue import FileQueue
from tests.outbox.chaos.traps import Traps
from tests.services import eventually
from tests.testapp.models import Item, Tag

MAX_ATTEMPTS = 3


def given(folder: Path, **settings: Any) -> dict[str, str]:
    """Return the environment of a process of the project."""
    databases = {alias: str(connections[alias].settings_dict["NAME"]) for alias in connections}
    settings = {
        "SIGNALS_PLUS_BACKENDS": {
            "default": {**queue.ENTRY, "OPTIONS": {"path": str(folder / "queue")}}
        },
        "SIGNALS_PLUS_OUTBOX_MAX_ATTEMPTS": MAX_ATTEMPTS,
        **settings,
    }
    project = {"folder": str(folder), "databases": databases, "settings": settings}
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "DJANGO_SETTINGS_MODULE": "tests.outbox.chaos.settings",
        "SIGNALS_PLUS_CHAOS": json.dumps(project),
    }


@pytest.fixture(scope="session")
def _process(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None
) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    folder = tmp_path_factory.mktemp("chaos")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.outbox.chaos.process"],
        env=given(folder),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield folder, process
        process.communicate(timeout=30)


class Project:
    """What happens in the processes of the project, and what is left to see."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.traps = Traps(folder)
        self.ledger = shop.Ledger(folder)
        self._process = process

    @property
    def queue(self) -> FileQueue:
        backend = backends["default"]
        assert isinstance(backend, FileQueue)
        return backend

    def run(self, command: str, **arguments: Any) -> int:
        """Let a process do something; return its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps([command, arguments])}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def produce(self, *names: str, model: str = "Tag") -> int:
        return self.run("produce", names=names, model=model)

    def work(self) -> int:
        """Let a worker do all that is in the queue."""
        return self.run("work", lines=self.queue.take())

    def run_each(self) -> list[int]:
        """Let a worker of its own do each that is in the queue; return their exit codes."""
        return [self.run("work", lines=[line]) for line in self.queue.take()]

    def do(self, line: str) -> None:
        """Be the worker."""
        queue.work(line)

    def relay(self, times: int = 1) -> int:
        return self.run("relay", times=times)

    def break_queue(self) -> None:
        (self.folder / "down").touch()

    def mend_queue(self) -> None:
        (self.folder / "down").unlink()

    def make_due(self) -> None:
        """Let all waiting come to an end."""
        Message.objects.update(due_at=F("created_at"))

    def settle(self) -> None:
        """Let time pass, a relay run and a worker work until nothing is pending."""

        def nothing_is_pending() -> bool:
            self.make_due()
            Relay(["default"]).run_once()
            for line in self.queue.take():
                queue.work(line)
            return not Message.objects.filter(status=Message.Status.PENDING).exists()

        eventually(nothing_is_pending)

    def pending(self) -> int:
        return Message.objects.filter(status=Message.Status.PENDING).count()

    def committed(self) -> list[str]:
        return sorted(Tag.objects.values_list("name", flat=True))

    def effects(self) -> list[str]:
        return sorted(Item.objects.values_list("name", flat=True))


@pytest.fixture
def project(
    db: None,
    _process: tuple[Path, subprocess.Popen[str]],
    settings: Any,
) -> Project:
    """A project whose processes this test tells what to do; its queue is a file."""
    folder, process = _process
    for path in folder.iterdir():
        path.unlink()
    for name, value in json.loads(given(folder)["SIGNALS_PLUS_CHAOS"])["settings"].items():
        setattr(settings, name, value)
    shop.connect(folder)
    return Project(folder, process)
