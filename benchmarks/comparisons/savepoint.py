"""Rolling back one savepoint inside a transaction with many events pending."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, repeat

from django.db import transaction

from benchmarks.comparisons import on_commit
from benchmarks.measuring import Bench, Figure
from benchmarks.project.events import saved, send
from benchmarks.project.models import ByHand, WithPlus

__all__ = ["measure", "on_commit"]  # importing it connects the receivers


class OutOfStock(Exception):  # noqa: N818 - as a service would raise it
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    # Each on a database of its own, so that both transactions are open at the same time.
    count = bench.size(1_000, 200)
    with transaction.atomic("default"), transaction.atomic("other"):
        for model, using in ((WithPlus, "default"), (ByHand, "other")):
            send(chain.from_iterable(repeat(saved(model, 100), count)), using=using)
        figure = bench.compare(rolling_back("default"), rolling_back("other"), rounds=200)
        # They are not to be run.
        for using in ("default", "other"):
            transaction.set_rollback(True, using)
    return {"rollback": figure}


def rolling_back(using: str, times: int = 5) -> Callable[[], None]:
    """Fail in a savepoint, again and again."""

    def fail() -> None:
        for _ in range(times):
            try:
                with transaction.atomic(using):
                    raise OutOfStock
            except OutOfStock:
                pass

    return fail
