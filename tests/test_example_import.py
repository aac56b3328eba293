"""``manage.py demo --import N``, the example project's way to import a great many rows."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.shops import EXAMPLE, MANAGE, Shop, is_running, skip_without_broker, worker_pid

IMPORT_TIME_LIMIT = 300  # seconds, for 100,000 rows


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def progress_of(output: str, what: str) -> list[str]:
    """Return how many rows each line of progress says are done."""
    line = rf"^   {what} +([\d,]+) of [\d,]+ +[\d,]+ rows/s   memory \d+ MB *$"
    return re.findall(line, output, re.MULTILINE)


@pytest.fixture(scope="module")
def imported(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Shop, subprocess.CompletedProcess[str]]:
    shop = Shop(tmp_path_factory.mktemp("import"))
    return shop, shop.run([*MANAGE, "demo", "--import", "2500"])


class TestImport:
    """``manage.py demo --import N``."""

    def test_the_worker_saw_every_row_exactly_once(self, imported):
        _, demo = imported

        assert (demo.returncode, demo.stderr) == (0, "")
        assert re.findall("✓ (.+)", demo.stdout) == [
            "2,500 rows saved by 1 commit",
            "3 messages on the queue",
            "the worker saw every row exactly once",
            "more memory: at most 34 MB, 600 bytes for each row and 32 MB",
        ]
        assert "The import went as announced, in " in demo.stdout

    def test_shows_its_progress_in_a_line_for_each_tenth(self, imported):
        saved = progress_of(imported[1].stdout, "saved")
        indexed = progress_of(imported[1].stdout, "indexed")

        assert saved == [f"{done:,}" for done in range(250, 2_501, 250)]
        assert set(indexed) <= {"1,000", "2,000", "2,500"}
        assert indexed[-1] == "2,500"

    def test_says_how_long_it_took_and_how_much_memory(self, imported):
        line = r"^ +([\d.]+) (?:s |MB) {1,2}([a-z].+)$"
        figures = re.findall(line, imported[1].stdout, re.MULTILINE)

        assert [what for _, what in figures] == [
            "to save the rows",
            "from the commit to the last row in the index",
            "more in the memory of this process, at the most",
        ]
        assert all(float(figure) > 0 for figure, _ in figures)

    def test_plays_nothing_else_and_leaves_nothing(self, imported):
        shop, demo = imported
        _, *lines = demo.stdout.splitlines()

        assert not re.search(r"^\d", demo.stdout, re.MULTILINE)
        assert max(map(len, lines)) < 80
        assert not is_running(worker_pid(demo.stdout))
        assert shop.left_behind() == []

    def test_one_row_is_an_import_too(self, shop):
        demo = shop.run([*MANAGE, "demo", "--import", "1"])

        assert (demo.returncode, demo.stderr) == (0, "")
        assert "✓ 1 row saved by 1 commit\n   ✓ 1 message on the queue\n" in demo.stdout

    def test_rewrites_one_line_on_a_terminal(self, shop):
        """What was there before is covered, and each phase leaves its last line."""
        ours, theirs = pty.openpty()
        command = [*MANAGE, "demo", "--import", "1500", "--no-color"]
        environment = {**shop.environment, "COLUMNS": "80"}

        with subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs) as demo:
            os.close(theirs)
            text = shown_on(ours)

        drawn = [line.strip("\r").split("\r") for line in text.split("\n") if "rows/s" in line]
        saved, indexed = drawn
        assert demo.returncode == 0
        assert progress_of(saved[-1], "saved") == ["1,500"]
        assert progress_of(indexed[-1], "indexed") == ["1,500"]
        assert {len(each) for each in [*saved, *indexed]} == {79}

    @pytest.mark.parametrize("value", ["0", "-5", "many", "1e5", ""])
    def test_what_is_no_number_of_rows_is_refused(self, shop, value):
        demo = shop.run([*MANAGE, "demo", "--import", value])

        assert demo.returncode == 2
        assert (
            f"argument --import: {value!r} is no number of rows. "
            "Give a whole number of at least 1, such as 100000."
        ) in demo.stderr
        assert shop.left_behind() == []


def shown_on(terminal: int) -> str:
    """Read what is written on a terminal until nobody has it open any more."""
    chunks = []
    with os.fdopen(terminal, "rb", buffering=0) as file, suppress(OSError):  # Linux: EIO at the end
        while chunk := file.read(1024):
            chunks.append(chunk)
    return b"".join(chunks).decode()


SABOTAGE_OF_IMPORT = """
import sys
from config.settings import *
from django.db.backends.signals import connection_created

hoard = []


def sabotage(connection, **kwargs):
    from django.db.models.signals import post_save

    if "demo" in sys.argv:
        post_save.connect(keep_too_much)
    else:
        connection.connection.executescript('''
            CREATE TEMP TRIGGER lose AFTER INSERT ON shop_indexedentry WHEN NEW.entry_id = 7
            BEGIN DELETE FROM shop_indexedentry WHERE id = NEW.id; END;
            CREATE TEMP TRIGGER repeat AFTER INSERT ON shop_indexedentry WHEN NEW.entry_id = 1009
            BEGIN INSERT INTO shop_indexedentry (entry_id, words) VALUES (NEW.entry_id, ''); END;
        ''')


def keep_too_much(**kwargs):
    hoard.append(b"x" * 100_000)


connection_created.connect(sabotage)
"""

SIGHTINGS_PROGRAM = """
import django
django.setup()

from django.core.management import call_command
from shop.demo.catalogue import sightings, titles
from shop.models import CatalogueEntry, IndexedEntry

call_command("migrate", verbosity=0)
entries = [CatalogueEntry(title=title) for title in titles(9)]
CatalogueEntry.objects.bulk_create(entries)
print(sightings())
for entry in entries:
    IndexedEntry.objects.create(entry=entry, words="")
print(sightings())
entries[2].indexed.all().delete()
IndexedEntry.objects.create(entry=entries[3], words="")
print(sightings())
"""


@pytest.fixture(scope="module")
def sabotaged_import(
    tmp_path_factory: pytest.TempPathFactory,
) -> subprocess.CompletedProcess[str]:
    """Import with a worker that loses a row and repeats another, and a leak in the demo."""
    shop = Shop(tmp_path_factory.mktemp("sabotage_of_import"))
    (shop.folder / "sabotage.py").write_text(SABOTAGE_OF_IMPORT)
    return shop.run([*MANAGE, "demo", "--import", "1500"], DJANGO_SETTINGS_MODULE="sabotage")


class TestImportThatFails:
    """``manage.py demo --import N`` when something is not as announced."""

    def test_exits_with_1(self, sabotaged_import):
        assert sabotaged_import.returncode == 1
        assert (
            "The import went otherwise than announced. The worker's log: "
            in sabotaged_import.stderr
        )
        assert "went as announced" not in sabotaged_import.stdout

    def test_names_the_rows_that_were_not_seen_exactly_once(self, sabotaged_import):
        assert (
            "   ✗ the worker saw every row exactly once\n"
            "       expected: each row once\n"
            "       seen:     never: 7; more than once: 1009\n"
        ) in sabotaged_import.stdout

    def test_says_how_much_memory_was_too_much(self, sabotaged_import):
        claim = sabotaged_import.stdout.partition("✗ more memory: at most 33 MB")[2]
        seen = re.findall(r"seen:     (\d+) MB", claim)

        assert [int(each) >= 150 for each in seen] == [True]

    def test_compares_row_by_row(self, shop):
        """Before any is indexed, when all are, and with one lost and one repeated."""
        compared = shop.run(
            [sys.executable, "-c", SIGHTINGS_PROGRAM],
            DJANGO_SETTINGS_MODULE="config.settings",
            PYTHONPATH=str(EXAMPLE),
            SHOP_VAR=str(shop.folder / "var"),
        )

        assert (compared.returncode, compared.stderr) == (0, "")
        assert compared.stdout.splitlines() == [
            "never: 1, 2, 3, 4, 5 and 4 more",
            "each row once",
            "never: 3; more than once: 4",
        ]


@pytest.mark.services
class TestImportThroughABroker:
    """``CELERY_BROKER_URL=... manage.py demo --import N``."""

    def test_100_000_rows_in_one_transaction(self, shop):
        shop.time_limit = IMPORT_TIME_LIMIT

        demo = shop.run(
            [*MANAGE, "demo", "--import", "100000"],
            CELERY_BROKER_URL=os.environ.get("SIGNALS_PLUS_REDIS_URL", "redis://127.0.0.1:6379/9"),
        )

        skip_without_broker(demo)
        assert (demo.returncode, demo.stderr) == (0, "")
        assert re.findall("✓ (.+)", demo.stdout) == [
            "100,000 rows saved by 1 commit",
            "100 messages on the queue",
            "the worker saw every row exactly once",
            "more memory: at most 92 MB, 600 bytes for each row and 32 MB",
        ]
