"""The example project, run as its users run it: in processes of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from tests.shops import (
    DEMO_TIME_LIMIT,
    EXAMPLE,
    MANAGE,
    Shop,
    is_running,
    skip_without_broker,
    worker_pid,
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def files_of_example() -> set[str]:
    return {str(path) for path in EXAMPLE.rglob("*") if "__pycache__" not in path.parts}


def queues_of_rq(url: str) -> set[bytes]:
    with suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
        return {*client.scan_iter("rq:*:shop-demo-*")}
    return set()


def group_is_running(pid: int) -> bool:
    """Tell whether any process runs that a worker has started, the worker itself included."""
    return any(
        stat.read_text().rpartition(") ")[2].split()[2] == str(pid)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if is_running(int(stat.parent.name))
    )


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.fixture(scope="module")
def files_before() -> set[str]:
    return files_of_example()


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, files_before: set[str]
) -> tuple[Shop, subprocess.CompletedProcess[str]]:
    shop = Shop(tmp_path_factory.mktemp("demo"))
    return shop, shop.run([*MANAGE, "demo"])


class TestDemo:
    """``manage.py demo`` when all is well."""

    @pytest.fixture
    def output(self, played: tuple[Shop, subprocess.CompletedProcess[str]]) -> str:
        return played[1].stdout

    def test_exits_with_0_and_has_nothing_to_complain_about(self, played):
        _, demo = played

        assert (demo.returncode, demo.stderr) == (0, "")
        assert "All 11 scenarios went as announced" in demo.stdout

    def test_leaves_no_worker_no_folder_and_no_file(self, played, files_before):
        shop, demo = played

        assert not is_running(worker_pid(demo.stdout))
        assert shop.left_behind() == []
        assert files_of_example() == files_before

    def test_plays_every_scenario_and_each_claim_holds(self, output):
        headings = re.findall(r"^(\d+)\. ", output, re.MULTILINE)

        assert headings == [str(number) for number in range(1, 12)]
        assert "✗" not in output
        assert output.count("✓") > len(headings)

    def test_shows_the_mail_sent_by_another_process_after_the_commit(self, output):
        committed = output.partition("\n2. ")[2].partition("\n3. ")[0]
        places = re.findall(r"^ +\+[\d.]+ +(\d+)  \S+ +(.+?)  +(\S+)", committed, re.MULTILINE)

        here, there = int(places[0][0]), int(places[-1][0])
        assert [(state, what) for _, state, what in places] == [
            ("atomic 1", "BEGIN"),
            ("atomic 1", "place_order"),
            ("atomic 1", "reserve_stock"),
            ("committed", "COMMIT"),
            ("committed", "write_audit_line"),
            ("committed", "enqueue"),
            ("autocommit", "send_confirmation"),
        ]
        assert there == worker_pid(output)
        assert here != there

    def test_shows_what_never_ran_after_a_rollback(self, output):
        rolled_back = output.partition("\n3. ")[2].partition("\n4. ")[0]

        assert re.findall(r"(\w+) +\(never runs\)", rolled_back) == [
            "write_audit_line",
            "send_confirmation",
        ]

    def test_shows_who_was_killed_and_that_another_did_the_work(self, output):
        killing = output.partition("\n11. ")[2]
        rows = re.findall(
            r"^ +\+[\d.]+ +(\d+)  \S+ +.+?  +(pack|enqueue|SIGKILL) ", killing, re.MULTILINE
        )

        whats = [what for _, what in rows]
        first, second = [at for at, what in enumerate(whats) if what == "SIGKILL"]
        packers = [int(pid) for pid, what in rows if what == "pack"]
        assert whats[:first].count("pack") == 1
        assert packers[0] == worker_pid(output)
        assert len(packers) == 5
        assert len(set(packers[1:])) == 1
        assert packers[1] != packers[0]
        assert "pack" not in whats[first:second]

    def test_is_plain_text_of_100_columns_in_a_file(self, output):
        assert "\033" not in output
        assert max(map(len, output.splitlines())) <= 100

    def test_help_leaves_nothing_either(self, shop):
        """The folder is made before Django knows that only help is asked for."""
        help_ = shop.run([*MANAGE, "demo", "--help"])

        assert help_.returncode == 0
        assert shop.left_behind() == []


@pytest.fixture(scope="module")
def sabotaged(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Shop, subprocess.CompletedProcess[str]]:
    """Play with a worker that finds no receivers."""
    shop = Shop(tmp_path_factory.mktemp("sabotage"))
    (shop.folder / "sabotage.py").write_text(
        "from config.settings import *\nSIGNALS_PLUS_AUTODISCOVER = ['demo.receivers']\n"
    )
    return shop, shop.run(
        [*MANAGE, "demo", "--force-color"],
        DJANGO_SETTINGS_MODULE="sabotage",
        PYTHONIOENCODING="ascii",
    )


class TestDemoThatFails:
    """``manage.py demo`` when what it sees is not what it says, or it cannot see anything."""

    def test_exits_with_1_and_says_how_much_is_wrong(self, sabotaged):
        _, demo = sabotaged

        assert demo.returncode == 1
        assert "5 of 11 scenarios went otherwise than announced." in demo.stderr
        assert "All 11" not in demo.stdout

    def test_says_what_it_expected_and_what_it_saw(self, sabotaged):
        _, demo = sabotaged
        output = re.sub(r"\033\[[\d;]+m", "", demo.stdout)

        assert (
            "   FAILED the mail was sent by the worker\n"
            "       expected: worker\n"
            "       seen:     none\n"
        ) in output

    def test_keeps_the_log_that_it_names(self, sabotaged):
        _, demo = sabotaged
        log = Path(re.findall(r"The worker's log: (\S+)", demo.stderr)[0])

        assert "Received unregistered task of type 'shop.receivers" in log.read_text()

    def test_ends_its_worker(self, sabotaged):
        _, demo = sabotaged

        assert not is_running(worker_pid(demo.stdout))

    def test_is_coloured_on_demand(self, sabotaged):
        _, demo = sabotaged

        assert "\033[31m   FAILED the mail was sent by the worker\033[0m" in demo.stdout

    def test_a_broker_that_refuses_ends_it_with_the_reason(self, shop):
        demo = shop.run([*MANAGE, "demo"], CELERY_BROKER_URL="amqp://guest:secret@127.0.0.1:1//")

        assert demo.returncode == 1
        assert "CommandError: The queue did not take a task. Backend 'default' " in demo.stderr
        assert "Connection refused" in demo.stderr
        assert "secret" not in demo.stderr
        assert shop.left_behind() == []

    def test_a_worker_that_cannot_start_ends_it_with_the_end_of_its_log(self, shop):
        (shop.folder / "broken.py").write_text(
            "import sys\n"
            "from config.settings import *\n"
            "if 'demo' not in sys.argv:\n"
            "    raise RuntimeError('No settings for a worker')\n"
        )

        demo = shop.run([*MANAGE, "demo"], DJANGO_SETTINGS_MODULE="broken")

        assert demo.returncode == 1
        assert "The worker ended with exit code 1 before it was ready." in demo.stderr
        assert "RuntimeError: No settings for a worker" in demo.stderr
        log = Path(re.findall(r"The end of its log, (\S+):", demo.stderr)[0])
        assert "RuntimeError: No settings for a worker" in log.read_text()


@pytest.fixture
def signals_heard() -> Iterator[None]:
    """Under nohup, or in the background of a script, one is ignored, and children inherit that."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.usefixtures("signals_heard")
class TestDemoThatIsEnded:
    """``manage.py demo`` when somebody ends it half-way."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_ends_the_worker_too_and_leaves_nothing(self, shop, number):
        with shop.start([*MANAGE, "demo"]) as demo:
            pid = worker_pid(demo.stdout.readline())
            demo.send_signal(number)
            _, errors = demo.communicate(timeout=DEMO_TIME_LIMIT)

        assert demo.returncode == 128 + number
        # Python's development mode may add, before or after, what was open at that moment.
        assert f"CommandError: Stopped by {number.name}." in errors.splitlines()
        assert "Traceback" not in errors
        assert not is_running(pid)
        assert shop.left_behind() == []

    def test_a_signal_while_the_worker_starts_ends_it_too(self, shop):
        with shop.start([*MANAGE, "demo"]) as demo:
            assert wait_until(lambda: any(shop.temporary.glob("shop-demo-*/worker.log")))
            demo.terminate()
            demo.communicate(timeout=DEMO_TIME_LIMIT)

        assert demo.returncode == 128 + signal.SIGTERM
        assert shop.left_behind() == []

    def test_a_signal_ends_an_import_in_the_midst_of_its_rows(self, shop):
        with shop.start([*MANAGE, "demo", "--import", "20000"]) as demo:
            pid = worker_pid(demo.stdout.readline())
            assert any(line.startswith("   saved") for line in demo.stdout)
            demo.send_signal(signal.SIGINT)
            output, errors = demo.communicate(timeout=DEMO_TIME_LIMIT)

        assert demo.returncode == 128 + signal.SIGINT
        assert "CommandError: Stopped by SIGINT." in errors.splitlines()
        assert "indexed" not in output
        assert not is_running(pid)
        assert shop.left_behind() == []

    def test_kill_9_ends_the_worker_too(self, shop):
        with shop.start([*MANAGE, "demo"]) as demo:
            pid = worker_pid(demo.stdout.readline())
            demo.kill()

        assert wait_until(lambda: not is_running(pid))


@pytest.mark.services
@pytest.mark.parametrize(
    ("variable", "default"),
    [
        ("SIGNALS_PLUS_REDIS_URL", "redis://127.0.0.1:6379/9"),
        ("SIGNALS_PLUS_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//"),
    ],
)
class TestDemoThroughABroker:
    """``CELERY_BROKER_URL=... manage.py demo``."""

    def test_plays_every_scenario(self, shop, variable, default):
        demo = shop.run([*MANAGE, "demo"], CELERY_BROKER_URL=os.environ.get(variable, default))

        skip_without_broker(demo)
        assert (demo.returncode, demo.stderr) == (0, "")
        assert "All 11 scenarios went as announced" in demo.stdout


@pytest.mark.parametrize(
    "queue",
    ["django_q", "django_tasks", pytest.param("rq", marks=pytest.mark.services), "thread"],
)
class TestDemoOnEachQueue:
    """``SHOP_QUEUE=... manage.py demo``."""

    def test_plays_every_scenario(self, shop, queue):
        url = os.environ.get("SIGNALS_PLUS_REDIS_URL", "redis://127.0.0.1:6379/9")
        shop.time_limit = 2 * DEMO_TIME_LIMIT
        # Demos that were killed have left theirs.
        before = queues_of_rq(url) if queue == "rq" else set()

        demo = shop.run([*MANAGE, "demo"], SHOP_QUEUE=queue, SHOP_REDIS_URL=url)

        skip_without_broker(demo)
        assert (demo.returncode, demo.stderr) == (0, "")
        # One of them kills the worker, and a thread has none.
        played = 10 if queue == "thread" else 11
        assert f"All {played} scenarios went as announced" in demo.stdout
        assert ("   not played: tasks run in this process" in demo.stdout) == (queue == "thread")
        assert shop.left_behind() == []
        if queue == "rq":
            assert queues_of_rq(url) == before

    def test_leaves_no_process_when_it_is_killed(self, shop, queue):
        if queue == "thread":
            return  # it has no other process
        with shop.start([*MANAGE, "demo"], SHOP_QUEUE=queue) as demo:
            pid = worker_pid(demo.stdout.readline())
            demo.kill()

        assert wait_until(lambda: not group_is_running(pid))


class TestProject:
    """The project itself."""

    def test_migrations_are_complete(self, shop):
        check = shop.manage("makemigrations", "--check", "--dry-run")

        assert (check.returncode, check.stdout) == (0, "No changes detected\n")

    def test_system_checks_are_silent(self, shop):
        check = shop.manage("check", "--fail-level", "WARNING")

        assert check.returncode == 0, check.stderr
        assert check.stdout == "System check identified no issues (0 silenced).\n"


BINDERS = 3
TRANSPORT_PROGRAM = (
    f"BINDERS = {BINDERS}"
    """
import json, sys
from pathlib import Path
from kombu import Connection, Exchange, Queue

job, number, amount = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = Connection(
    "filesystem://",
    transport="config.transport:Transport",
    transport_options={
        "data_folder_in": "messages",
        "data_folder_out": "messages",
        "control_folder": "control",
        "polling_interval": 0.001,
    },
)
with connection:
    if job == "bind":
        Path(f"ready-{number}").touch()
        while len(list(Path().glob("ready-*"))) < BINDERS:
            pass
        for each in range(amount):
            Queue(f"{number}-{each}", Exchange(f"shared-{each}"))(connection).declare()
    elif job == "tables":
        channel = connection.default_channel
        print(json.dumps([len(channel.get_table(f"shared-{each}")) for each in range(amount)]))
    else:
        queue = connection.SimpleQueue("orders")
        numbers = []
        for each in range(amount):
            if job == "write":
                queue.put({"number": each, "filling": "x" * 20_000})
            else:
                message = queue.get(timeout=60)
                numbers.append(message.payload["number"])
                message.ack()
        print(json.dumps(numbers))
"""
)


class TestTransport:
    """Celery's queue as a folder of files."""

    @pytest.fixture
    def start(self, shop: Shop) -> Callable[..., subprocess.Popen[str]]:
        (shop.folder / "messages").mkdir()

        def start(job: str, amount: int, number: int = 0) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", TRANSPORT_PROGRAM, job, str(number), str(amount)]
            return shop.start(command, PYTHONPATH=str(EXAMPLE))

        return start

    def test_a_reader_never_sees_half_a_message(self, start):
        """A reader that looks all the time takes each message whole, once, in the order sent."""
        amount = 1_000

        with start("read", amount) as reader, start("write", amount) as writer:
            received, errors = reader.communicate(timeout=60)
            writer.communicate(timeout=60)

        assert errors == ""
        assert json.loads(received) == list(range(amount))

    def test_processes_that_bind_at_one_time_keep_each_others_queues(self, start):
        exchanges = 300

        for binder in [start("bind", exchanges, number) for number in range(BINDERS)]:
            assert binder.communicate(timeout=60) == ("", "")
        tables, _ = start("tables", exchanges).communicate(timeout=60)

        assert json.loads(tables) == [BINDERS] * exchanges
