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


def test_passes_the_suite(tmp_path: Path) -> None:
    files = {match["path"]: match["text"] for match in FILE.finditer(PAGE.read_text("utf-8"))}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    environment = {name: os.environ[name] for name in os.environ if name[:7] != "DJANGO_"}

    finished = subprocess.run(
        [sys.executable, "-m", "unittest", "folder_queue.tests"],
        env={**environment, "PYTHONPATH": str(Path(signals_plus.__file__).parents[1])},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert finished.returncode == 0, finished.stderr
    assert re.search(r"Ran 1\d tests", finished.stderr)
