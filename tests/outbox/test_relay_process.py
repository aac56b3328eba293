"""``manage.py relay_outbox`` as a process of its own, and what it is told and what it loses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from signals_plus.outbox.models import Message
from tests.outbox.test_commands import write
from tests.outbox_project import NAME
from tests.services import Gate, eventually, silent_port

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])
FILE = {"BACKEND": "tests.outbox_project.queue.FileBackend"}
CELERY = {"BACKEND": "signals_plus.backends.celery.CeleryBackend"}


class Process:
    """A relay, and what it says."""

    def __init__(self, folder: Path, *arguments: str, **changed: Any) -> None:
        self.folder = folder
        database = changed.pop("database", {})
        databases = {
            each.alias: {"NAME": str(each.settings_dict["NAME"]), **database}
            for each in connections.all()
        }
        project = {"databases": databases, "backend": FILE, **changed}
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "django", "relay_outbox", *arguments],
                cwd=ROOT,
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": "tests.outbox_project.settings",
                    "OUTBOX_PROJECT": json.dumps(project),
                    "OUTBOX_QUEUE": str(self._file("queue")),
                },
                stdout=out,
                stderr=err,
            )

    def said(self) -> str:
        return self._file("out").read_text()

    def complained(self) -> list[str]:
        return self._file("err").read_text().splitlines()

    def enqueued(self) -> list[str]:
        file = self._file("queue")
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line)["message"] for line in lines]

    def wait_for(self, text: str) -> None:
        eventually(lambda: text in self.said() + "\n".join(self.complained()))

    def end(self, told: int = signal.SIGTERM) -> float:
        """Tell it to end; return how many seconds that took."""
        start = time.monotonic()
        self.process.send_signal(told)
        self.process.wait(30)
        return time.monotonic() - start

    def _file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Any]:
    """Start relays that do not outlive the test."""
    started: list[Process] = []

    def start(*arguments: str, **changed: Any) -> Process:
        started.append(Process(tmp_path, *arguments, **changed))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


class TestRunning:
    @pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
    def test_enqueues_what_becomes_due_until_it_is_told_to_end(
        self, relay: Any, told: signal.Signals
    ) -> None:
        process = relay()
        process.wait_for("begins: default, other.")

        messages = [write(receiver=NAME), write("other", receiver=NAME)]

        eventually(lambda: len(process.enqueued()) == 2)
        assert process.end(told) < 10
        assert {str(each.message_id) for each in messages} == {*process.enqueued()}
        assert process.process.returncode == 0
        assert process.said().endswith("ends: 2 messages enqueued.\n")
        assert process.complained() == []

    def test_gives_its_claims_back_though_the_queue_hangs(self, relay: Any) -> None:
        """The broker accepts and is silent. Publishing to it is bounded."""
        with silent_port() as port:
            process = relay(backend=CELERY, broker=f"redis://127.0.0.1:{port}/0")
            process.wait_for("begins")
            message = write(receiver=NAME)
            eventually(lambda: Message.objects.get().claimed_by)

            assert process.end() < 10

        message.refresh_from_db()
        assert process.process.returncode == 0
        assert message.attempts == 0
        # Put off by what an outage is left alone for, at most, and not by the claim's grace.
        assert (message.due_at - message.created_at).total_seconds() < 60

    def test_writes_one_line_about_a_queue_that_is_down(self, relay: Any) -> None:
        with silent_port() as port:
            broker = f"redis://127.0.0.1:{port}/0"
        process = relay(backend=CELERY, broker=broker)
        for _ in range(3):
            write(receiver=NAME)
        process.wait_for("Backend 'default' cannot be reached, messages wait")
        eventually(lambda: all(each.due_at > each.created_at for each in Message.objects.all()))

        process.end()

        assert len([line for line in process.complained() if "cannot be reached" in line]) == 1


class TestDatabaseIsLost:
    __test__ = connection.vendor != "sqlite"  # a file is not lost

    def test_connection_is_cut(self, relay: Any) -> None:
        """By the server, as at its restart: one line, and on it goes."""
        process = relay("--database", "default")
        process.wait_for("begins")
        eventually(_others)

        for number in range(1, 4):
            _end_others()
            eventually(lambda: _lines(process, "can be reached again") == number)  # noqa: B023
            write(receiver=NAME)
            # What nobody does comes back in the meantime.
            eventually(lambda: len({*process.enqueued()}) == number)  # noqa: B023

        assert process.end() < 10
        assert process.process.returncode == 0
        assert _lines(process, "Database 'default' cannot be reached, messages wait:") == 3
        assert len(process.complained()) == 6

    def test_server_is_away(self, relay: Any) -> None:
        """Behind a gate that is closed, tried several times: one line for all of them."""
        with _gate() as gate:
            process = relay(database={"HOST": "127.0.0.1", "PORT": str(gate.port)})
            process.wait_for("begins")
            eventually(lambda: gate.accepted >= 2)
            gate.close()
            process.wait_for("Database 'default' cannot be reached")
            process.wait_for("Database 'other' cannot be reached")
            write(receiver=NAME)
            time.sleep(2)  # some tries, so that there is something that must not be written
            gate.open()

            eventually(process.enqueued)
            process.wait_for("Database 'other' can be reached again")
            assert process.end() < 10

        assert process.process.returncode == 0
        lines = process.complained()
        assert len([line for line in lines if "cannot be reached" in line]) == 2
        assert len([line for line in lines if "can be reached again, after " in line]) == 2
        assert len(lines) == 4

    def test_server_is_away_from_the_start(self, relay: Any) -> None:
        """It waits: in a container, whichever starts first."""
        with _gate() as gate:
            gate.close()
            process = relay(database={"HOST": "127.0.0.1", "PORT": str(gate.port)})
            process.wait_for("Database 'other' cannot be reached")
            write(receiver=NAME)
            gate.open()

            eventually(process.enqueued)
            assert process.end() < 10

    def test_once_says_so(self, relay: Any) -> None:
        """And is a failure, as each command that cannot do its work."""
        with _gate() as gate:
            gate.close()
            process = relay(
                "--once", database={"HOST": "127.0.0.1", "PORT": str(gate.port)}
            ).process
            assert process.wait(30) == 1
            gate.open()


def _gate() -> Gate:
    settings = connection.settings_dict
    port = settings["PORT"] or {"postgresql": 5432, "mysql": 3306}[connection.vendor]
    return Gate(f"sql://{settings['HOST']}:{port}")


def _lines(process: Process, text: str) -> int:
    return len([line for line in process.complained() if text in line])


def _others() -> list[int]:
    """Return the connections of others to the test's database."""
    sql = {
        "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()",
        "mysql": "SELECT id FROM information_schema.processlist WHERE db = DATABASE() "
        "AND id <> CONNECTION_ID()",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [key for (key,) in cursor.fetchall()]


def _end_others() -> None:
    sql = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}[connection.vendor]
    with connection.cursor() as cursor:
        for key in _others():
            cursor.execute(sql, (key,))
