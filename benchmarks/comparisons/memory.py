"""What a pending event keeps in memory until its transaction commits."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from benchmarks.comparisons import on_commit
from benchmarks.measuring import Bench, Figure
from benchmarks.project.events import one_saved, send
from benchmarks.project.models import ByHand, ByHandBare, Row, WithPlusBatched
from signals_plus import receiver_task

__all__ = ["measure", "on_commit"]  # importing it connects the receivers


@receiver_task(post_save, sender=WithPlusBatched, batch=True)
def handle_in_worker(sender: Any, events: list[Any], **kwargs: Any) -> None:
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    ours = _bytes_per_event(WithPlusBatched, bench.size(100_000, 10_000))
    theirs, bare = (_bytes_per_event(model, 10_000) for model in (ByHand, ByHandBare))
    note = f"by hand, with the instance: {theirs:.0f} with a copy, {bare:.0f} in a lambda"
    return {"task": Figure(ours, ours, ours, note)}


def _bytes_per_event(model: type[Row], count: int) -> float:
    """Make one instance at a time, as an import does, and keep none."""
    with transaction.atomic():
        send([one_saved(model, 1)])
        gc.collect()
        tracemalloc.start()
        send(one_saved(model, number) for number in range(count))
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        transaction.set_rollback(True)
    return used / count
