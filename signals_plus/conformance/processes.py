"""The processes of a test: one that saves rows, as a web server would, and a worker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def eventually(condition: Callable[[], Any], what: str, *, seconds: float = 30) -> Any:
    """Return what the condition returns once that is true.

    Raises:
        AssertionError: It does not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)
    return result


class Web:
    """A process that saves what it is told to save."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "signals_plus.conformance.scenarios"],
                env=environment,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def play(self, *scenarios: str) -> float:
        """Play scenarios one after the other; return the seconds that the last one took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        seconds = 0.0
        for scenario in scenarios:
            self._process.stdin.write(f"{scenario}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            if not line:
                raise AssertionError(f"the process that saves ended:\n{self._log.read_text()}")
            answer = json.loads(line)
            if "error" in answer:
                raise AssertionError(f"{scenario} failed:\n{answer['error']}")
            seconds = answer["seconds"]
        return seconds

    def end(self) -> int:
        """Let it end as a process does that has no more to do; return its exit code."""
        self._process.communicate(timeout=60)
        return self._process.returncode


class Worker:
    """A worker in a process group of its own."""

    def __init__(
        self, arguments: Sequence[str], ready: str, environment: Mapping[str, str], log: Path
    ) -> None:
        self._log = log
        said = len(self.said())
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                env=environment,
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            eventually(lambda: self._is_ready(ready, said), f"the worker says {ready!r}")
        except BaseException:
            self.end()
            raise

    def said(self) -> str:
        """Return what it has written, and those before it."""
        return self._log.read_text() if self._log.exists() else ""

    def end(self) -> int:
        """Ask it to end, and see to it that it does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            # Those that it has started, and that outlived it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _is_ready(self, ready: str, offset: int) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the worker ended:\n{self.said()}")
        return ready in self.said()[offset:]
