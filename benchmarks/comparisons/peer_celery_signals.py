"""celery-signal-receivers: a task for a custom signal, published when the signal is sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import celery_signals
from django.db import transaction
from django.dispatch import Signal
from unified_signals import UnifiedSignal

from benchmarks.measuring import Bench, Figure
from benchmarks.project import queue
from benchmarks.project.models import Row
from signals_plus import receiver_task


@dataclasses.dataclass
class Paid:
    pk: int


paid = Signal()
paid_message = UnifiedSignal(Paid)


@receiver_task(paid)
def handle(sender: Any, pk: int, **kwargs: Any) -> None:
    pass


@celery_signals.receiver_task(paid_message)
def handle_message(sender: Any, message: Paid, **kwargs: Any) -> None:
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    return {"send": bench.compare(_send, _send_message, rounds=60, before=queue.empty)}


def _send() -> None:
    for pk in range(50):
        with transaction.atomic():
            paid.send(sender=Row, pk=pk)


def _send_message() -> None:
    for pk in range(50):
        with transaction.atomic():
            # It hands on neither the sender nor anything but the message.
            paid_message.send(sender=Row, message=Paid(pk))
