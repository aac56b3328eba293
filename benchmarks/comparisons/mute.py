"""``send`` while muted, against a bare ``send`` to one receiver."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.comparisons.plain_send import sender_of, touched, untouched
from benchmarks.measuring import Bench, Figure
from signals_plus import mute_signals


def measure(bench: Bench) -> Mapping[str, Figure]:
    with mute_signals(touched):
        return {"send": bench.compare(sender_of(touched), sender_of(untouched), rounds=300)}
