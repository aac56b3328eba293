"""django-lifecycle: hooks that are methods of the model."""

from __future__ import annotations

from collections.abc import Mapping

from django_lifecycle import AFTER_SAVE, LifecycleModelMixin, hook

from benchmarks.comparisons import on_commit
from benchmarks.comparisons.save import saving
from benchmarks.measuring import Bench, Figure
from benchmarks.project.models import Row, WithPlus

__all__ = ["measure", "on_commit"]  # importing it connects the receivers


class Hooked(LifecycleModelMixin, Row):
    """The same table, with a hook."""

    class Meta:
        proxy = True
        app_label = "project"

    @hook(AFTER_SAVE, on_commit=True)
    def handle(self) -> None:
        pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    return {"save": bench.compare(saving(WithPlus), saving(Hooked), rounds=100)}
