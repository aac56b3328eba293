"""Run comparisons, each in a process of its own: none finds what another has connected."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from typing import Any

from . import servers
from .table import Run

# Seconds; the longest takes two minutes.
TIMEOUT = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave: its figures, or why there are none."""

    figures: dict[str, dict[str, Any]]
    skipped: str = ""
    failed: str = ""


def run(each: Run, *, quick: bool) -> Outcome:
    """Run one comparison, unless something that it needs is missing."""
    if each.needs and importlib.util.find_spec(each.needs) is None:
        return Outcome({}, skipped=f"{each.needs} is not installed")
    for server in each.servers:
        if reason := servers.missing(server):
            return Outcome({}, skipped=reason)
    with tempfile.TemporaryDirectory() as folder:
        output, status = _run_child(each.comparison, _environment(each, folder, quick=quick))
    if status:
        return Outcome({}, failed=output.strip().rpartition("\n")[2] or f"exit code {status}")
    return Outcome(json.loads(output.strip().rpartition("\n")[2]))


def _environment(each: Run, folder: str, *, quick: bool) -> dict[str, str]:
    return {
        **os.environ,
        "BENCHMARKS_BROKER": each.broker,
        "BENCHMARKS_BROKER_URL": servers.URLS.get(each.broker, ""),
        "BENCHMARKS_DATABASE": each.database,
        "BENCHMARKS_FOLDER": folder,
        "BENCHMARKS_QUEUE": f"benchmarks-{uuid.uuid4().hex}",
        "BENCHMARKS_QUICK": "1" if quick else "0",
        "DJANGO_SETTINGS_MODULE": "benchmarks.project.settings",
    }


def _run_child(name: str, environment: dict[str, str]) -> tuple[str, int]:
    # A session of its own: a comparison that hangs is ended with the worker it has started.
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", name],
        env=environment, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        output, errors = child.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        output, errors = "", f"not done within {TIMEOUT} s"
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if child.returncode:
        sys.stderr.write(errors)
        return errors, child.returncode
    return output, 0
