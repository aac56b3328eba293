"""``recursion_guard`` against the two ways by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models.signals import post_save

from benchmarks.measuring import Bench, Figure
from benchmarks.project.events import one_saved
from benchmarks.project.models import ByHand, Row
from signals_plus import recursion_guard


@recursion_guard
def guarded(sender: Any, instance: Row, **kwargs: Any) -> None:
    pass


def flagged(sender: Any, instance: Any, **kwargs: Any) -> None:
    if getattr(instance, "_is_handled", False):
        return
    instance._is_handled = True
    try:
        pass
    finally:
        del instance._is_handled


def reconnected(sender: Any, instance: Row, **kwargs: Any) -> None:
    post_save.disconnect(reconnected, sender=ByHand)
    try:
        pass
    finally:
        post_save.connect(reconnected, sender=ByHand)


post_save.connect(reconnected, sender=ByHand)


def measure(bench: Bench) -> Mapping[str, Figure]:
    times = bench.times(
        {each.__name__: calling(each) for each in (guarded, flagged, reconnected)}, rounds=300
    )
    return {
        "flag": Figure.of_ratios(times["guarded"], times["flagged"]),
        "reconnect": Figure.of_ratios(times["guarded"], times["reconnected"]),
    }


def calling(function: Callable[..., None], times: int = 1_000) -> Callable[[], None]:
    """Call the receiver as the signal does."""
    row = one_saved(ByHand, 1)

    def call() -> None:
        for _ in range(times):
            function(
                signal=post_save, sender=ByHand, instance=row, created=True, update_fields=None,
                raw=False, using="default",
            )  # fmt: skip

    return call
