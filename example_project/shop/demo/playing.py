"""The demo from its start to its end."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.signals import connection_created

from shop.trace import log_transactions

from . import importing
from .rows import Trace
from .scenarios import SCENARIOS
from .stage import Check, Stage
from .stopping import Stopping
from .timeline import BOLD, Printer
from .worker import DemoError, Worker

LOG = "worker.log"


def play_all(printer: Printer) -> str:
    """Play all scenarios; return what is wrong, and an empty text if nothing is.

    Raises:
        DemoError: The demo could not be played to its end.
        Stopped: A signal ended it.
    """
    start = time.monotonic()
    with _stage(printer) as stage:
        outcomes = _play(printer, stage)
    failed = outcomes.count(False)
    number = f"{failed} of {len(outcomes)}" if failed else f"All {len(outcomes)}"
    return _conclusion(printer, f"{number} scenarios", start, failed=bool(failed))


def play_import(printer: Printer, amount: int) -> str:
    """Play an import of so many rows instead; return and raise as ``play_all()``."""
    start = time.monotonic()
    with _stage(printer) as stage:
        checks = importing.play(printer, stage, amount)
        failed = not _all_hold(printer, checks)
    return _conclusion(printer, "The import", start, failed=failed)


@contextmanager
def _stage(printer: Printer) -> Iterator[Stage]:
    if os.name != "posix":
        raise DemoError("The demo needs Linux or macOS (on Windows: WSL).")
    stopping = Stopping()
    worker = Worker(settings.BASE_DIR, settings.VAR / LOG, Trace(settings.TRACE), stopping)
    with stopping, _database(), worker:
        _greet(printer, worker)
        yield Stage(worker)


def _greet(printer: Printer, worker: Worker) -> None:
    printer.line(
        f"Django {django.__version__}, Python {platform.python_version()}. "
        f"This process: pid {os.getpid()}. {_described(worker)}.",
    )


def _described(worker: Worker) -> str:
    queue = worker.queue
    if worker.process is None:
        return f"Tasks run in {queue.TITLE}"
    return f"{queue.TITLE} {version(queue.DISTRIBUTION)} worker: pid {worker.pid}"


def _play(printer: Printer, stage: Stage) -> list[bool]:
    """Play all scenarios that can be played, and tell of each whether it went as announced."""
    outcomes = []
    for number, scenario in enumerate(SCENARIOS, 1):
        printer.heading(f"{number}. {scenario.title}", scenario.how)
        if scenario.kills and stage.worker.process is None:
            printer.line(
                "   not played: tasks run in this process, which would be killed with them"
            )
            continue
        checks = stage.play(scenario)
        printer.rows(stage.rows)
        ran = {row.who for row in stage.rows}
        printer.never(name for name in scenario.never if name not in ran)
        outcomes.append(_all_hold(printer, checks))
    return outcomes


def _all_hold(printer: Printer, checks: list[Check]) -> bool:
    for check in checks:
        printer.check(check)
    return all(check.holds for check in checks)


def _conclusion(printer: Printer, what: str, start: float, *, failed: bool) -> str:
    if failed:
        return f"{what} went otherwise than announced. The worker's log: {settings.VAR / LOG}"
    printer.line()
    printer.line(f"{what} went as announced, in {time.monotonic() - start:.1f} s.", BOLD)
    return ""


@contextmanager
def _database() -> Iterator[None]:
    """Make the tables, and log each transaction from here on."""
    connections.close_all()  # system checks may have opened one
    connection_created.connect(log_transactions)
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection_created.disconnect(log_transactions)
        connections.close_all()
