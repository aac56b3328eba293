"""The tutorial, followed step by step in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import signals_plus

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(
    r"^```(?:\{code-block\} )?(?P<language>\w+)\n(?::caption: (?P<caption>[^\n]+)\n\n)?"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
DOCTEST = """
import doctest, sys, django
django.setup()
test = doctest.DocTestParser().get_doctest(sys.stdin.read(), {}, "tutorial", None, None)
sys.exit(doctest.DocTestRunner().run(test).failed)
"""
# What stands in for the Redis server: the same worker, over files.
FILE_BROKER = """
CELERY_BROKER_URL = "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "data_folder_in": BASE_DIR, "data_folder_out": BASE_DIR, "control_folder": BASE_DIR,
}
"""


def test_tutorial(tmp_path: Path) -> None:
    """All commands succeed, all sessions print what is shown, and the worker prints the label."""
    reader = Reader(tmp_path)
    seen = []

    for language, caption, text in steps():
        seen.append(language)
        match language:
            case "sh":
                reader.type_commands(text)
            case "python":
                reader.write(caption, text)
            case "pycon":
                reader.run("-c", DOCTEST, stdin=text)

    assert seen.count("pycon") == 3
    assert "shop.receivers.print_label" in reader.worker_output
    assert re.search(r"label for A-19 in process \d+", reader.worker_output)
    assert str(os.getpid()) not in reader.worker_output.partition("label for A-19")[2]


def steps() -> Iterator[tuple[str, str, str]]:
    """Yield language, caption and text of each block, the worker's start after the order."""
    waiting = []
    for match in BLOCK.finditer(TUTORIAL.read_text(encoding="utf-8")):
        step = match["language"], match["caption"] or "", match["text"]
        # Messages that wait cannot be read half-written, as the files of this broker can.
        if "worker" in step[2] and step[0] == "sh":
            waiting.append(step)
            continue
        yield step
        if step[0] == "pycon":
            yield from waiting
            waiting = []


class Reader:
    """Someone who does what the tutorial says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.worker_output = ""
        packages = str(Path(signals_plus.__file__).parents[1])
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
            "PYTHONPATH": packages,
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
        }

    def type_commands(self, text: str) -> None:
        for line in text.splitlines():
            program, *arguments = line.split()
            if program == "django-admin":
                self.run("-m", "django", *arguments)
            elif program == "celery":
                self.start_worker(arguments)
            elif arguments[0] == "manage.py":
                self.run(*arguments)

    def write(self, caption: str, text: str) -> None:
        path, _, where = caption.partition(", ")
        with (self.folder / path).open("a" if where == "at the end" else "w") as file:
            file.write(text)
            if "CELERY_BROKER_URL" in text:
                file.write(FILE_BROKER)

    def run(self, *arguments: str, stdin: str = "") -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder, env=self.environment, input=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}\n{done.stdout}"

    def start_worker(self, arguments: list[str]) -> None:
        """Run it until it has printed the label."""
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", *arguments, "--pool", "solo"],
            cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        with worker:
            assert worker.stdout is not None
            for line in worker.stdout:
                self.worker_output += line
                if "label for" in line:
                    break
            worker.terminate()
            worker.communicate(timeout=60)
