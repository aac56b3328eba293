"""The harness: contenders run in turn, and every figure is a ratio within one run.

A machine is faster now and slower a minute later. So contenders are never timed one after the
other: each round runs all of them once, in an order that turns, and compares them with each other.
The figure is the median of the rounds' ratios, its spread their quartiles.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured: a median, and the quartiles around it."""

    value: float
    low: float
    high: float
    note: str = ""

    @classmethod
    def of(cls, values: Sequence[float], *, note: str = "") -> Self:
        """Sum up what the rounds gave."""
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high, note)

    @classmethod
    def of_ratios(cls, ours: Sequence[float], theirs: Sequence[float], *, note: str = "") -> Self:
        """Compare round by round, not the one's median with the other's."""
        return cls.of([a / b for a, b in zip(ours, theirs, strict=True)], note=note)


@dataclass(frozen=True, slots=True)
class Bench:
    """How much to run. ``quick``: enough to see that all works, too little to trust a figure."""

    quick: bool

    def size(self, full: int, quick: int) -> int:
        """Return the number of events, rows or repetitions to run with."""
        return quick if self.quick else full

    def compare(
        self,
        ours: Callable[[], object],
        theirs: Callable[[], object],
        *,
        rounds: int,
        before: Callable[[], object] = gc.collect,
    ) -> Figure:
        """Return how long the one takes, as a multiple of the other."""
        times = self.times({"ours": ours, "theirs": theirs}, rounds=rounds, before=before)
        return Figure.of_ratios(times["ours"], times["theirs"])

    def times(
        self,
        contenders: Mapping[str, Callable[[], object]],
        *,
        rounds: int,
        before: Callable[[], object] = gc.collect,
    ) -> dict[str, list[float]]:
        """Return the seconds that each contender took in each round."""
        timed = {name: _timed(run) for name, run in contenders.items()}
        return self.in_turn(timed, rounds=rounds, before=before)

    def in_turn(
        self,
        contenders: Mapping[str, Callable[[], T]],
        *,
        rounds: int,
        before: Callable[[], object] = gc.collect,
    ) -> dict[str, list[T]]:
        """Run each contender once a round, and return what each run returned.

        A round of its own comes first and does not count: caches, connections, lazy imports. The
        garbage collector is on, as it is in production, but what was there before is none of its
        business, and what one contender leaves behind is not collected at the cost of the next.

        Args:
            contenders: The contenders, by name.
            rounds: How many; a tenth of it if quick.
            before: Called before each run, to take away what the one before has left behind.
        """
        results: dict[str, list[T]] = {name: [] for name in contenders}
        order = list(contenders)
        for run in contenders.values():
            run()
        gc.collect()
        gc.freeze()
        for _ in range(self.size(rounds, max(2, rounds // 10))):
            for name in order:
                before()
                results[name].append(contenders[name]())
            order.append(order.pop(0))
        gc.unfreeze()
        return results


def _timed(run: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    return timed
