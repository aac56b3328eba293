"""Time per event, as a transaction has more of them: register and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, repeat
from statistics import median
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from benchmarks.comparisons import on_commit
from benchmarks.measuring import Bench, Figure
from benchmarks.project.events import saved, send
from benchmarks.project.models import ByHand, Row, WithPlus, WithPlusBatched
from signals_plus import receiver_on_commit

__all__ = ["measure", "on_commit"]  # importing it connects the receivers


@receiver_on_commit(post_save, sender=WithPlusBatched, batch=True)
def handle_batch(sender: Any, events: list[Any], **kwargs: Any) -> None:
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    by_hand = _times_per_event(bench, ByHand)
    largest = median(by_hand[-1]) / median(by_hand[0])
    note = f"by hand: {largest:.1f} x"
    return {
        "on_commit": _growth(_times_per_event(bench, WithPlus), note),
        "batched": _growth(_times_per_event(bench, WithPlusBatched), note),
    }


def _growth(times: list[list[float]], note: str) -> Figure:
    """Compare the slowest size with the fastest; by medians, or noise would count as growth."""
    slowest, fastest = max(times, key=median), min(times, key=median)
    return Figure.of_ratios(slowest, fastest, note=note)


def _times_per_event(bench: Bench, model: type[Row]) -> list[list[float]]:
    """Return the seconds per event for each size, by rounds."""
    at_least = bench.size(10_000, 2_000)
    sizes = {size: max(1, at_least // size) for size in (100, 1_000, 10_000)}
    if not bench.quick:
        sizes[100_000] = 1
    rows = saved(model, 100)
    times = bench.times(
        {str(size): _sending(rows, size, count) for size, count in sizes.items()}, rounds=7
    )
    return [
        [seconds / size / count for seconds in times[str(size)]] for size, count in sizes.items()
    ]


def _sending(rows: list[Row], size: int, count: int) -> Callable[[], None]:
    """Send so many events in each of so many transactions."""

    def run() -> None:
        for _ in range(count):
            with transaction.atomic():
                send(chain.from_iterable(repeat(rows, size // len(rows))))

    return run
