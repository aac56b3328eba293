"""What a soak starts: each in a process group of its own, and ended with it, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

READY_WITHIN = 60.0  # seconds, on a machine that has much else to do


def eventually(condition: Callable[[], object], what: str, *, seconds: float) -> None:
    """Return once the condition is true.

    Raises:
        TimeoutError: It does not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)


class Process:
    """A process that is killed and started again. ``kind``: what the report counts it as."""

    kind = ""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path) -> None:
        self.name = name
        self.arguments = arguments
        self.folder = folder
        self.is_paused = False
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """Return the end of what it has written."""
        return self.log.read_text()[-4000:] if self.log.exists() else ""

    def start(self) -> None:
        """Start it. It may take a while until it works: see ``is_ready``."""
        self._log = self._log or self.log.open("ab")
        self._process = subprocess.Popen(
            [*self.arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            start_new_session=True,
        )  # fmt: skip
        self.is_paused = False

    def kill(self) -> None:
        """Kill -9 it with all that it has started, and wait until it is gone."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process = None
        self.is_paused = False

    def end(self, seconds: float) -> None:
        """Ask it to end, and kill it if it does not in time."""
        self.resume()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.terminate()
                self._process.wait(seconds)
        self.kill()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self) -> None:
        if self.is_paused:
            self._signal(signal.SIGCONT)
            self.is_paused = False

    def kill_child(self, choose: Callable[[Sequence[int]], int]) -> bool:
        """Kill -9 one of the processes that it has forked; False if it has none."""
        children = self._children()
        if not children:
            return False
        try:
            # A handle first, and then the question again: the number may be another's by now.
            handle = os.pidfd_open(pid := choose(children))
        except ProcessLookupError:
            return False
        try:
            if pid not in self._children():
                return False
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def wait_for(self, word: bytes) -> None:
        """Return once it has said the word on a line of its own."""
        process = self._process
        if process is None or process.stdout is None:
            raise RuntimeError(f"{self.name} has not been started")
        said = process.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"{self.name} said {said!r}:\n{self.last_words()}")

    def tell(self, line: bytes) -> None:
        """Write a line to what it reads."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _children(self) -> list[int]:
        process = self._process
        if process is None or process.poll() is not None:
            return []
        path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            return [int(each) for each in path.read_text().split()]
        except FileNotFoundError:
            return []

    def _signal(self, number: int) -> None:
        # Not reaped yet, so the number is still its own.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


class Producer(Process):
    """Saves events. ``pause``: seconds between two transactions."""

    kind = "producer"

    def __init__(self, name: str, folder: Path, *, seed: int, pause: float = 0) -> None:
        module = "benchmarks.soak.project.produce"
        arguments = [sys.executable, "-m", module, "--seed", str(seed), "--pause", str(pause)]
        super().__init__(name, arguments, folder)


class RelayProcess(Process):
    """Relays."""

    kind = "relay"

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, [sys.executable, "-m", "benchmarks.soak.project.relay"], folder)


class Worker(Process):
    """A Celery worker with two processes that work."""

    kind = "worker"

    def __init__(self, name: str, folder: Path) -> None:
        arguments = [
            sys.executable, "-m", "celery", "--quiet", "-A", "benchmarks.soak.project", "worker",
            "--pool", "prefork", "--concurrency", "2", "--loglevel", "WARNING",
            "--without-gossip", "--without-mingle", "--without-heartbeat",
            "--hostname", f"{name}@soak",
        ]  # fmt: skip
        super().__init__(name, arguments, folder)


class Broker(Process):
    """A Redis of the soak's own, which keeps nothing on disk: with it goes all that it had."""

    kind = "broker"

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        arguments = [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder),
            "--appendonly", "no", "--save", "",
        ]  # fmt: skip
        super().__init__("broker", arguments, folder)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
