"""Tasks in threads, at the end of the process and at a fork. Real processes, really ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PRELUDE = """
import atexit, logging, multiprocessing, os, signal, sys, threading, time, warnings
from asgiref.sync import sync_to_async
from django.conf import settings

settings.configure()

from signals_plus import calling
from signals_plus.backends.base import Task
from signals_plus.backends.thread import ThreadBackend

warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # of any thread, since 3.12
logging.basicConfig(format="%(message)s", stream=sys.stderr)
main = os.getpid()

def note(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def task(run, name="shop.a"):
    return Task(name, print, run)

def sleep(payload):
    time.sleep(0.05)
    note("ran", payload)

def hang(payload):
    note("hangs")
    threading.Event().wait()
"""


Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a program; its output is to be read by whoever starts it."""

    def start(program: str) -> subprocess.Popen[str]:
        path = tmp_path / "program.py"
        path.write_text(PRELUDE + program)
        return subprocess.Popen(
            [sys.executable, path], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def read_until(line: str, process: subprocess.Popen[str]) -> None:
    """Wait until the program writes this line."""
    assert process.stdout is not None
    while (written := process.stdout.readline()) != f"{line}\n":
        assert written, "the program has ended"


def finish(process: subprocess.Popen[str]) -> tuple[list[str], str, int]:
    """Return the lines that it wrote, what it logged, and its exit code."""
    try:
        written, logged = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    return written.splitlines(), logged, process.returncode


class TestExit:
    def test_waits_for_the_tasks(self, start: Start) -> None:
        """Those that wait, and those that they enqueue while it does."""
        process = start(
            """
backend = ThreadBackend("default", {})

def enqueue_another(payload):
    sleep(payload)
    backend.enqueue(task(sleep), "another")

backend.enqueue_many([(task(enqueue_another), "1"), (task(sleep), "2")])
note("the main thread ends")
"""
        )

        written, logged, code = finish(process)

        assert written == ["the main thread ends", "ran 1", "ran 2", "ran another"]
        assert (logged, code) == ("", 0)

    @pytest.mark.skipif(
        (3, 12, 0) <= sys.version_info < (3, 12, 2),
        reason="these two cannot start a thread any more once they end, as async receivers need",
    )
    def test_runs_async_receivers(self, start: Start) -> None:
        """Which need executors, and these take no more work once atexit functions are called."""
        process = start(
            """
async def run(payload):
    note("ran", await sync_to_async(str)(payload))

backend = ThreadBackend("default", {})
backend.enqueue_many([(task(sleep), "1"), (task(calling.synchronous(run)), "2")])
"""
        )

        assert finish(process) == (["ran 1", "ran 2"], "", 0)

    def test_by_a_servers_signal_waits_as_well(self, start: Start) -> None:
        """SIGTERM, and a handler that ends in a normal exit, as that of gunicorn's workers."""
        process = start(
            """
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(3))
backend = ThreadBackend("default", {})
backend.enqueue_many([(task(sleep), "1"), (task(sleep), "2")])
note("ready")
while True:
    signal.pause()
"""
        )
        read_until("ready", process)
        process.send_signal(signal.SIGTERM)

        written, logged, code = finish(process)

        assert (written[-1], logged, code) == ("ran 2", "", 3)

    def test_does_not_wait_without_end(self, start: Start) -> None:
        """Several backends at the same time; what is lost is said."""
        process = start(
            """
for alias in ("a", "b"):
    backend = ThreadBackend(alias, {"drain_timeout": 0.5})
    backend.enqueue_many([(task(hang, "shop.hang"), ""), (task(sleep), "secret")])
note("the main thread ends")
atexit.register(note, "the process ends")
"""
        )
        read_until("the main thread ends", process)
        started = time.monotonic()

        written, logged, code = finish(process)

        assert time.monotonic() - started < 3
        assert written[-1] == "the process ends"
        assert "ran secret" not in written
        assert sorted(logged.splitlines()) == [
            f"signals_plus backend {alias!r}: after 0.5 s, 1 running and 1 waiting tasks are "
            "lost: shop.a (1), shop.hang (1)"
            for alias in ("a", "b")
        ]
        assert code == 0

    def test_does_not_wait_any_longer_when_it_is_interrupted(self, start: Start) -> None:
        """Ctrl+C while it waits: what is lost is said all the same."""
        process = start(
            """
signal.signal(signal.SIGINT, signal.default_int_handler)
backend = ThreadBackend("default", {"drain_timeout": 300})
backend.enqueue(task(hang, "shop.hang"), "")
threading._register_atexit(note, "ending")  # called before those that were registered earlier
"""
        )
        read_until("ending", process)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)

        _, logged, _ = finish(process)

        assert "1 running and 0 waiting tasks are lost: shop.hang (1)" in logged
        assert "KeyboardInterrupt" in logged

    def test_runs_what_comes_later_where_it_is_enqueued(self, start: Start) -> None:
        """By another thread that goes on, or by an atexit function."""
        process = start(
            """
backend = ThreadBackend("default", {})
backend.enqueue(task(sleep), "1")

def go_on():
    while not backend._pool._is_closed:
        time.sleep(0.01)
    backend.enqueue(task(sleep), "2")

threading.Thread(target=go_on).start()
atexit.register(lambda: backend.enqueue(task(sleep), "3"))
"""
        )

        assert finish(process) == (["ran 1", "ran 2", "ran 3"], "", 0)

    def test_of_a_process_of_multiprocessing_waits(self, start: Start) -> None:
        """Which calls no atexit functions."""
        process = start(
            """
def work():
    backend = ThreadBackend("default", {})
    backend.enqueue_many([(task(sleep), "1"), (task(sleep), "2")])

child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
note(child.exitcode)
"""
        )

        assert finish(process) == (["ran 1", "ran 2", "0"], "", 0)

    def test_of_a_child_of_celerys_worker_waits(self, start: Start) -> None:
        """Which ends with os._exit. The tasks take longer than the second that it has left."""
        process = start(
            """
import celery

app = celery.Celery(
    broker="filesystem://",
    broker_transport_options={"data_folder_in": "queue", "data_folder_out": "queue",
                              "control_folder": "control"},
)
backend = ThreadBackend("default", {})

@app.task(ignore_result=True)
def enqueue():
    backend.enqueue_many([(task(sleep), str(number)) for number in range(40)])

os.mkdir("queue")
os.mkdir("control")
if os.fork():
    app.worker_main(["worker", "-c", "1", "--max-tasks-per-child", "1", "-l", "CRITICAL"])
else:
    enqueue.delay()
"""
        )
        try:
            read_until("ran 39", process)
        finally:
            process.terminate()

        finish(process)


class TestFork:
    def test_leaves_the_parents_tasks_to_the_parent(self, start: Start) -> None:
        """The child begins with an empty queue and threads of its own. Each task runs once."""
        process = start(
            """
def where(payload):
    sleep(f"{payload} in the {'parent' if os.getpid() == main else 'child'}")

backend = ThreadBackend("default", {})
backend.enqueue_many([(task(where), "1"), (task(where), "2")])
pid = os.fork()
backend.enqueue(task(where), "3")
if pid:
    os.waitpid(pid, 0)
"""
        )

        written, logged, code = finish(process)

        assert sorted(written) == [
            "ran 1 in the parent", "ran 2 in the parent", "ran 3 in the child",
            "ran 3 in the parent",
        ]  # fmt: skip
        assert (logged, code) == ("", 0)

    def test_by_c_code_leaves_them_there_too(self, start: Start) -> None:
        """uWSGI's workers: none of Python's hooks is called, and the parent's threads are gone."""
        process = start(
            """
import ctypes

backend = ThreadBackend("default", {})
backend.enqueue(task(sleep), "1")
while not backend._pool._idle:
    time.sleep(0.01)
time.sleep(0.1)  # no thread is to wait for the interpreter's lock when it is copied
pid = ctypes.PyDLL(None).fork()
if pid:
    os.waitpid(pid, 0)
else:
    backend.enqueue(task(sleep), "2")
"""
        )

        assert finish(process) == (["ran 1", "ran 2"], "", 0)

    def test_while_others_enqueue_holds_nobody_up(self, start: Start) -> None:
        """A lock that another thread holds at that moment is never let go in the child."""
        process = start(
            """
backend = ThreadBackend("default", {})
held, ended = threading.Event(), threading.Event()

def hold():
    with backend._pool._lock:
        held.set()
        ended.wait()

threading.Thread(target=hold).start()
held.wait()
pid = os.fork()
if pid:
    ended.set()
    code = os.waitpid(pid, 0)[1]
    note("the child ends with", code)
else:
    signal.alarm(10)
    backend.enqueue(task(sleep), "1")
"""
        )

        assert finish(process) == (["ran 1", "the child ends with 0"], "", 0)
