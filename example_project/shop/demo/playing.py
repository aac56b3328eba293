"""The demo from its start to its end."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager

import celery
import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.signals import connection_created

from shop.trace import log_transactions

from .rows import Trace
from .scenarios import SCENARIOS
from .stage import Stage, logging_tasks
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
    if os.name != "posix":
        raise DemoError("The demo needs Linux or macOS (on Windows: WSL).")
    start = time.monotonic()
    log = settings.VAR / LOG
    stopping = Stopping()
    worker = Worker(settings.BASE_DIR, log, Trace(settings.TRACE), stopping)
    with stopping, _database(), worker:
        _greet(printer, worker)
        failed = _play(printer, Stage(worker))
    if failed:
        return (
            f"{failed} of {len(SCENARIOS)} scenarios went otherwise than announced. "
            f"The worker's log: {log}"
        )
    took = time.monotonic() - start
    printer.line()
    printer.line(f"All {len(SCENARIOS)} scenarios went as announced, in {took:.1f} s.", BOLD)
    return ""


def _greet(printer: Printer, worker: Worker) -> None:
    printer.line(
        f"Django {django.__version__}, Celery {celery.__version__}, "
        f"Python {platform.python_version()}. "
        f"This process: pid {os.getpid()}. Celery worker: pid {worker.pid}.",
    )


def _play(printer: Printer, stage: Stage) -> int:
    """Play all scenarios and return how many went otherwise than announced."""
    failed = 0
    with logging_tasks():
        for number, scenario in enumerate(SCENARIOS, 1):
            printer.heading(number, scenario)
            checks = stage.play(scenario)
            printer.rows(stage.rows)
            ran = {row.who for row in stage.rows}
            printer.never(name for name in scenario.never if name not in ran)
            for check in checks:
                printer.check(check)
            failed += not all(check.holds for check in checks)
    return failed


@contextmanager
def _database() -> Iterator[None]:
    """Make the tables, and log each transaction from here on."""
    connection_created.connect(log_transactions)
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection_created.disconnect(log_transactions)
        connections.close_all()
