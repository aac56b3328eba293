"""``batch=True`` against one task per row: what sending them costs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from benchmarks.comparisons import task  # noqa: F401 - connects one task per row, by hand
from benchmarks.measuring import Bench, Figure
from benchmarks.project import queue
from benchmarks.project.events import saved, send
from benchmarks.project.models import ByHand, Row, WithPlusBatched
from signals_plus import receiver_task


@receiver_task(post_save, sender=WithPlusBatched, batch=True, batch_size=1_000)
def handle_in_worker(sender: Any, events: list[Any], **kwargs: Any) -> None:
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    size = bench.size(10_000, 2_000)
    ours, theirs = saved(WithPlusBatched, size), saved(ByHand, size)
    times = bench.in_turn(
        {"ours": lambda: _import(ours), "theirs": lambda: _import(theirs)},
        rounds=3,
        before=queue.empty,
    )
    together, publishing = (
        Figure.of_ratios([each[i] for each in times["ours"]], [each[i] for each in times["theirs"]])
        for i in (0, 1)
    )
    return {"together": together, "publishing": publishing}


def _import(rows: list[Row]) -> tuple[float, float]:
    """Return the seconds in all, and those after the last signal, when all is published."""
    started = time.perf_counter()
    with transaction.atomic():
        send(rows)
        sent = time.perf_counter()
    ended = time.perf_counter()
    return ended - started, ended - sent
