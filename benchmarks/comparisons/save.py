"""The receivers of ``on_commit``, within the saves that they are made for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.db import transaction

from benchmarks.comparisons import on_commit
from benchmarks.measuring import Bench, Figure
from benchmarks.project.models import ByHand, Row, WithPlus

__all__ = ["measure", "on_commit"]  # importing it connects the receivers


def measure(bench: Bench) -> Mapping[str, Figure]:
    return {"save": bench.compare(saving(WithPlus), saving(ByHand), rounds=200)}


def saving(model: type[Row], count: int = 100) -> Callable[[], None]:
    """Save rows in one transaction, so that no COMMIT hides the receivers, and delete them."""

    def save() -> None:
        with transaction.atomic():
            for number in range(count):
                model(name=f"row {number}", number=number).save()

    return save
