"""``Signal.send`` to a receiver that is connected by Django's own means."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.db.models.signals import ModelSignal

from benchmarks.measuring import Bench, Figure
from benchmarks.project.events import one_saved
from benchmarks.project.models import Row, WithPlus
from signals_plus import mute_signals, receiver

# Signals like post_save, one for each contender: to touch one leaves the others as they are.
untouched = ModelSignal(use_caching=True)
prioritized = ModelSignal(use_caching=True)
touched = ModelSignal(use_caching=True)
prioritized = ModelSignal(use_caching=True)
decorated = ModelSignal(use_caching=True)


def handle(sender: Any, instance: Any, **kwargs: Any) -> None:
    pass


def handle_decorated(sender: Any, instance: Any, **kwargs: Any) -> None:
    pass


untouched.connect(handle, sender=Row)
prioritized.connect(handle, sender=Row)
receiver(prioritized, sender=WithPlus, priority=1)(handle_decorated)
touched.connect(handle, sender=Row)
prioritized.connect(handle, sender=Row)
receiver(prioritized, sender=WithPlus, priority=1)(handle_decorated)
receiver(decorated, sender=Row)(handle_decorated)


def measure(bench: Bench) -> Mapping[str, Figure]:
    with mute_signals(touched):
        pass
    signals = {
        "bare": untouched,
        "hooked": touched,
        "prioritized": prioritized,
        "ours": decorated,
    }
    contenders = {name: sender_of(signal) for name, signal in signals.items()}
    times = bench.times(contenders, rounds=200)
    return {
        "untouched": _against_a_process_without_signals_plus(bench),
        "hooked": Figure.of_ratios(times["hooked"], times["bare"]),
        "prioritized": Figure.of_ratios(times["prioritized"], times["bare"]),
        "receiver": Figure.of_ratios(times["ours"], times["bare"]),
    }


def sender_of(signal: ModelSignal, times: int = 2_000) -> Callable[[], None]:
    """Return a function that sends the signal so many times."""
    row = one_saved(Row, 1)

    def send() -> None:
        for _ in range(times):
            signal.send(
                sender=Row, instance=row, created=True, update_fields=None, raw=False,
                using="default",
            )  # fmt: skip

    return send


def _against_a_process_without_signals_plus(bench: Bench) -> Figure:
    """Let two processes send in turn; new ones at times, for no two lie alike in memory."""
    ratios: list[float] = []
    for _ in range(bench.size(10, 2)):
        with _process("with") as ours, _process("without") as theirs:
            times = bench.in_turn(
                {"ours": lambda p=ours: _ask(p), "theirs": lambda p=theirs: _ask(p)},  # type: ignore[misc]
                rounds=20,
            )
        ratios += [a / b for a, b in zip(times["ours"], times["theirs"], strict=True)]
    return Figure.of(ratios)


def _process(kind: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.comparisons.plain_send_process", kind],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _ask(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("again\n")
    process.stdin.flush()
    return float(process.stdout.readline())
