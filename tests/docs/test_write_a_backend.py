"""The backend of the how-to passes the suite, run as the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


ENQUEUE = "    def enqueue(self, task, payload):\n"
ENQUEUE_MANY = f"""\
    def enqueue_many(self, messages):
        return super().enqueue_many({{}})

{ENQUEUE}"""

EXCEPT = "        except Exception:\n"
DROP_UNKNOWN = """\
        except Exception as error:
            if type(error).__name__ == "UnknownReceiverError":
                path.unlink()
                continue
"""

# What a backend or its worker may do wrong: the file, what is there, what is there instead, and
# the test that has to see it.
FAULTS = {
    "loses what is beyond the 100th message": (
        "backend.py", ENQUEUE, ENQUEUE_MANY.format("messages[:100]"),
        "test_runs_each_of_many_events_once",
    ),
    "loses what is beyond the 150th message": (
        "backend.py", ENQUEUE, ENQUEUE_MANY.format("messages[:150]"),
        "test_runs_each_of_many_events_once",
    ),
    "enqueues twice what is beyond the 100th message": (
        "backend.py", ENQUEUE, ENQUEUE_MANY.format("[*messages, *messages[100:]]"),
        "test_runs_each_of_many_events_once",
    ),
    "cuts off what is large": (
        "backend.py", "[task.name, payload]", "[task.name, payload[:25_000]]",
        "test_gives_an_event_of_the_largest_size",
    ),
    "drops what the worker does not know": (
        "worker.py", EXCEPT, DROP_UNKNOWN,
        "test_shows_a_task_that_the_worker_does_not_know",
    ),
}  # fmt: skip


def files_of_the_page() -> dict[str, str]:
    return {match["path"]: match["text"] for match in FILE.finditer(PAGE.read_text("utf-8"))}


def run_tests(folder: Path, files: dict[str, str], name: str, *, fails: bool = False) -> str:
    """Write files, and run tests of them; return what unittest said."""
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    environment = {name: os.environ[name] for name in os.environ if name[:7] != "DJANGO_"}

    finished = subprocess.run(
        [sys.executable, "-m", "unittest", name],
        env={**environment, "PYTHONPATH": str(Path(signals_plus.__file__).parents[1])},
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert finished.returncode == int(fails), finished.stderr
    return finished.stderr


def test_passes_the_suite(tmp_path: Path) -> None:
    said = run_tests(tmp_path, files_of_the_page(), "folder_queue.tests")

    assert re.search(r"Ran [23]\d tests", said)


def test_may_have_settings(tmp_path: Path) -> None:
    """Where no settings are configured: nothing of a project of one's own is needed."""
    name = "folder_queue.more_tests.WithSettings.test_runs_once_for_what_was_committed"
    files = {**files_of_the_page(), "folder_queue/more_tests.py": WITH_SETTINGS}

    assert "Ran 1 test" in run_tests(tmp_path, files, name)


def test_fails_if_a_priority_is_ignored(tmp_path: Path) -> None:
    """By a backend that says it has them."""
    files = files_of_the_page()
    for module, line, more in (
        ("backend", "    supports_queue_name = True\n", "    supports_priority = True\n"),
        ("tests", '    other_queue = "labels"\n', "    priorities = (1, 2)\n"),
    ):
        path = f"folder_queue/{module}.py"
        assert line in files[path]
        files[path] = files[path].replace(line, line + more)
    name = "folder_queue.tests.TestFolderBackend.test_prefers_a_priority"

    assert "[1, 2] != [2, 1]" in run_tests(tmp_path, files, name, fails=True)


@pytest.mark.parametrize("fault", FAULTS)
def test_fails_with_a_fault(fault: str, tmp_path: Path) -> None:
    """The suite is there to see it."""
    module, good, bad, test = FAULTS[fault]
    files = files_of_the_page()
    path = f"folder_queue/{module}"
    assert files[path].count(good) == 1
    files[path] = files[path].replace(good, bad)

    said = run_tests(tmp_path, files, f"folder_queue.tests.TestFolderBackend.{test}", fails=True)

    assert f"FAIL: {test} " in said
