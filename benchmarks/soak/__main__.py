"""The command line: ``python -m benchmarks.soak [--seconds 30] [--seed N] [--database NAME]``."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import django
from django.core.management import call_command

from . import database, keeping, ledger
from .chaos import Chaos
from .processes import Broker
from .report import Report, counted, described


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; return 1 if something is lost that must not be, or nothing that must."""
    options = _parser().parse_args(arguments)
    print(f"seed {options.seed}, {options.seconds} s, {options.database}", flush=True)
    with _interruptible(options.seconds + options.drain + 240):
        report = _soak(options)
    result = report.as_json()
    print(described(result), flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.keep:
        keeping.keep(result)
    return int(bool(result["problems"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description="Kill and pause everything at random, and see whether anything is lost.",
    )
    parser.add_argument("--seconds", type=int, default=30, help="how long things happen")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument(
        "--database", choices=("postgresql", "mysql", "sqlite"), default="postgresql"
    )
    parser.add_argument("--drain", type=int, default=660, help="seconds until all has to be done")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument(
        "--keep", action="store_true", help="keep the figures, and write the documentation's page"
    )
    return parser


@contextmanager
def _interruptible(limit: int) -> Iterator[None]:
    """End the block in good order when the process is told to end, and after so many seconds."""

    def interrupt(number: int, frame: object) -> NoReturn:
        for each in numbers:  # one is enough: what follows is cleaning up
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(f"ended by {signal.Signals(number).name}")

    numbers = (signal.SIGALRM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _soak(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory(prefix="signals-plus-soak-") as name:
        folder = Path(name)
        with database.created(options.database, folder) as database_name:
            broker = Broker(folder)
            os.environ |= {
                "DJANGO_SETTINGS_MODULE": "benchmarks.soak.project.settings",
                "SOAK_BROKER_URL": broker.url,
                "SOAK_DATABASE": options.database,
                "SOAK_FOLDER": name,
                "SOAK_NAME": database_name,
                # What is killed leaves files behind.
                "TMPDIR": name,
            }
            django.setup()
            from django.db import connection  # noqa: PLC0415 - needs the settings

            try:
                call_command("migrate", run_syncdb=True, verbosity=0)
                return _soak_with(Chaos(options.seed, folder, broker), options)
            finally:
                connection.close()


def _soak_with(chaos: Chaos, options: argparse.Namespace) -> Report:
    from .project import journal  # noqa: PLC0415 - needs the settings

    try:
        chaos.run(options.seconds)
        started = time.monotonic()
        chaos.calm()
        left = _drain(chaos, options.drain)
        drained_in = time.monotonic() - started
        if left["outbox"]:
            sys.stderr.writelines(f"left: {each}\n" for each in ledger.what_waits())
        chaos.end()
    except BaseException:
        for each in chaos.all:
            sys.stderr.write(f"--- {each.name}\n{each.last_words()}\n")
        raise
    finally:
        for each in chaos.all:
            each.kill()
    return Report(
        seed=options.seed,
        seconds=options.seconds,
        database=options.database,
        machine=keeping.machine(options.database),
        kills=counted(chaos.kills),
        pauses=counted(chaos.pauses),
        crashes=counted(chaos.crashes),
        drained_in=round(drained_in, 1),
        left=left,
        dead=ledger.dead(),
        ghosts=ledger.ghosts(),
        ways=ledger.compare(journal.read()),
    )


def _drain(chaos: Chaos, seconds: float) -> dict[str, int]:
    """Wait until all is done, but no longer than this; return what is left."""
    deadline = time.monotonic() + seconds
    while sum((left := ledger.waiting()).values()) and time.monotonic() < deadline:
        chaos.look_after()
        time.sleep(0.5)
    return left


if __name__ == "__main__":
    sys.exit(main())
