"""The example project for tests: run as its users run it, in processes of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "example_project"
MANAGE = [sys.executable, str(EXAMPLE / "manage.py")]
DEMO_TIME_LIMIT = 90  # seconds, on a machine that does much else


class Shop:
    """Run commands of the example with a folder for temporary files of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.time_limit = DEMO_TIME_LIMIT
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DJANGO_SETTINGS_MODULE", "CELERY_BROKER_URL", "SHOP_VAR"}
        }
        self.environment = {
            **inherited,
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
        }

    def start(self, command: list[str], **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        with self.start(command, **environment) as process:
            try:
                out, errors = process.communicate(timeout=self.time_limit)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, errors)

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run([*MANAGE, *arguments], SHOP_VAR=str(self.folder / "var"), **environment)

    def left_behind(self) -> list[str]:
        return [path.name for path in self.temporary.iterdir()]


def worker_pid(output: str) -> int:
    return int(re.findall(r"worker: pid (\d+)", output)[0])


def is_running(pid: int) -> bool:
    """Tell whether a process runs; a zombie that nobody waits for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and ") Z " in stat.read_text())


def skip_without_broker(demo: subprocess.CompletedProcess[str]) -> None:
    required = os.environ.get("SIGNALS_PLUS_REQUIRE_SERVICES") == "1"
    if "did not take a task" in demo.stderr and not required:
        pytest.skip(demo.stderr)
