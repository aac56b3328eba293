"""factory_boy's mute_signals, which takes the receivers out of the signal, for all threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import factory.django

from benchmarks.comparisons.plain_send import sender_of, touched, untouched
from benchmarks.measuring import Bench, Figure
from signals_plus import mute_signals


def measure(bench: Bench) -> Mapping[str, Figure]:
    send_ours, send_theirs = sender_of(touched), sender_of(untouched)
    with mute_signals(touched), factory.django.mute_signals(untouched):
        send = bench.compare(send_ours, send_theirs, rounds=200)
    ours, theirs = sender_of(touched, times=1), sender_of(untouched, times=1)

    def block(mute: Any, signal: Any, send_one: Any) -> Any:
        def run() -> None:
            for _ in range(200):
                with mute(signal):
                    send_one()

        return run

    return {
        "send": send,
        "block": bench.compare(
            block(mute_signals, touched, ours),
            block(factory.django.mute_signals, untouched, theirs),
            rounds=200,
        ),
    }
