"""Time per event, as a transaction has more of them: register and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain, combinations, repeat
from statistics import median
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from benchmarks.comparisons import on_commit
from benchmarks.measuring import Bench, Figure
from benchmarks.project.events import saved, send
from benchmarks.project.models import Row, WithPlus, WithPlusBatched
from signals_plus import receiver_on_commit

__all__ = ["measure", "on_commit"]  # importing it connects the receivers


@receiver_on_commit(post_save, sender=WithPlusBatched, batch=True)
def handle_batch(sender: Any, events: list[Any], **kwargs: Any) -> None:
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    rows = {model: saved(model, 100) for model in (WithPlus, WithPlusBatched)}
    alone = _times_per_event(bench, _register)
    note = f"Django's on_commit alone: {median(alone[-1]) / median(alone[0]):.2f} x"
    return {
        name: _growth(_times_per_event(bench, partial(_send, rows[model])), note)
        for name, model in (("on_commit", WithPlus), ("batched", WithPlusBatched))
    }


def _register(size: int) -> None:
    for _ in range(size):
        transaction.on_commit(_nothing)


def _nothing() -> None:
    pass


def _send(rows: list[Row], size: int) -> None:
    send(chain.from_iterable(repeat(rows, size // len(rows))))


def _growth(times: list[list[float]], note: str) -> Figure:
    """Compare the size that costs most with the smaller one that costs least.

    By medians, or noise would count as growth. What becomes cheaper has not grown; how much
    cheaper is noted.
    """
    smaller, larger = max(
        combinations(times, 2), key=lambda pair: median(pair[1]) / median(pair[0])
    )
    overall = median(times[-1]) / median(times[0])
    return Figure.of_ratios(larger, smaller, note=f"largest to smallest: {overall:.2f} x; {note}")


def _times_per_event(bench: Bench, fill: Callable[[int], None]) -> list[list[float]]:
    """Return the seconds per event for each size, by rounds."""
    at_least = bench.size(10_000, 2_000)
    sizes = {size: max(1, at_least // size) for size in (100, 1_000, 10_000)}
    if not bench.quick:
        sizes[100_000] = 1
    times = bench.times(
        {str(size): partial(_commit, fill, size, count) for size, count in sizes.items()}, rounds=5
    )
    return [
        [seconds / size / count for seconds in times[str(size)]] for size, count in sizes.items()
    ]


def _commit(fill: Callable[[int], None], size: int, count: int) -> None:
    """Fill and commit so many transactions with so many events each."""
    for _ in range(count):
        with transaction.atomic():
            fill(size)
