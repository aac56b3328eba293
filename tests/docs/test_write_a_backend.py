"""The backend of the how-to passes the suite, run as the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import signals_plus

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "write-a-backend.md"
FILE = re.compile(
    r"^```\{code-block\} python\n:caption: (?P<path>[^\n]+)\n\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


# Of a backend that has settings: one that Django itself reads when it changes, and one of ours.
WITH_SETTINGS = """
from folder_queue import tests

class WithSettings(tests.TestFolderBackend):
    settings = {"TIME_ZONE": "UTC", "SIGNALS_PLUS_EXCLUDED_SENDERS": ["migrations"]}
"""


def run_tests(folder: Path, name: str) -> str:
    """Write the files of the page, and run tests of them; return what unittest said."""
    files = {match["path"]: match["text"] for match in FILE.finditer(PAGE.read_text("utf-8"))}
    for path, text in {**files, "folder_queue/more_tests.py": WITH_SETTINGS}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    environment = {name: os.environ[name] for name in os.environ if name[:7] != "DJANGO_"}

    finished = subprocess.run(
        [sys.executable, "-m", "unittest", name],
        env={**environment, "PYTHONPATH": str(Path(signals_plus.__file__).parents[1])},
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert finished.returncode == 0, finished.stderr
    return finished.stderr


def test_passes_the_suite(tmp_path: Path) -> None:
    assert re.search(r"Ran [23]\d tests", run_tests(tmp_path, "folder_queue.tests"))


def test_may_have_settings(tmp_path: Path) -> None:
    """Where no settings are configured: nothing of a project of one's own is needed."""
    name = "folder_queue.more_tests.WithSettings.test_runs_once_for_what_was_committed"

    assert "Ran 1 test" in run_tests(tmp_path, name)
