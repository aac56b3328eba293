"""An import of many rows, from the first signal until a worker has handled the last one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.db import transaction

from benchmarks.measuring import Bench, Figure

# Receivers are connected here, and run in the worker.
from benchmarks.project import counting, queue, receivers  # noqa: F401
from benchmarks.project.events import send
from benchmarks.project.models import ByHand, ByHandChunked, Row, WithPlusBatched

READY_WITHIN = DONE_WITHIN = 120  # seconds


def measure(bench: Bench) -> Mapping[str, Figure]:
    count = bench.size(10_000, 300)
    os.environ["BENCHMARKS_ROWS"] = str(count)
    Row.objects.bulk_create(Row(name=f"row {number}") for number in range(count))
    models = {"ours": WithPlusBatched, "theirs": ByHand, "chunked": ByHandChunked}
    rows = {name: list(model.objects.all()) for name, model in models.items()}
    with _worker():
        times = bench.in_turn(
            {name: lambda r=each: _import(r) for name, each in rows.items()},  # type: ignore[misc]
            rounds=2,
        )
    return {
        "batched": Figure.of_ratios(times["ours"], times["theirs"]),
        "chunked": Figure.of_ratios(times["ours"], times["chunked"]),
    }


def _import(rows: list[Row]) -> float:
    started = time.perf_counter()
    with transaction.atomic():
        send(rows)
    counting.wait(DONE_WITHIN)
    return time.perf_counter() - started


@contextmanager
def _worker() -> Iterator[None]:
    """Run a prefork worker of two processes; it ends with the block."""
    queue.empty()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "celery", "--quiet", "-A", "benchmarks.project", "worker",
            "--pool", "prefork", "--concurrency", "2", "--loglevel", "ERROR",
            "--without-gossip", "--without-mingle", "--hostname", f"{queue.NAME}@%h",
        ],
        stdout=sys.stderr,
    )  # fmt: skip
    try:
        counting.wait(READY_WITHIN)
        yield
    finally:
        process.terminate()
        process.wait(30)
