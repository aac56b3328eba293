"""Durable receivers against ``on_commit(lambda: task.delay(pk))``, and what their messages cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from benchmarks.measuring import Bench, Figure
from benchmarks.project import queue
from benchmarks.project.events import saved, send
from benchmarks.project.models import (
    ByHand,
    Row,
    WithNothing,
    WithOutbox,
    WithOutboxLater,
    WithOutboxPublished,
)
from signals_plus import receiver_task
from signals_plus.outbox.models import Message


@shared_task
def handle(pk: int) -> None:
    pass


@receiver(post_save, sender=ByHand)
def enqueue(sender: Any, instance: Row, **kwargs: Any) -> None:
    transaction.on_commit(lambda: handle.delay(instance.pk))


@receiver_task(post_save, sender=WithOutbox, durable=True)
def handle_durably(sender: Any, instance: Row, **kwargs: Any) -> None:
    pass


@receiver_task(post_save, sender=WithOutboxPublished, durable="publish")
def handle_published(sender: Any, instance: Row, **kwargs: Any) -> None:
    pass


@receiver_task(post_save, sender=WithOutboxLater, durable=True, run_after=timedelta(hours=1))
def handle_later(sender: Any, instance: Row, **kwargs: Any) -> None:
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    times = bench.times(
        {
            model.__name__: requests(model, bench.size(100, 20))
            for model in (ByHand, WithOutbox, WithOutboxPublished, WithNothing)
        },
        rounds=60,
        before=empty,
    )
    plain = times["ByHand"]
    return {
        "effect": Figure.of_ratios(times["WithOutbox"], plain),
        "publish": Figure.of_ratios(times["WithOutboxPublished"], plain),
        "thousand": _writing(bench),
    }


def requests(model: type[Row], count: int) -> Callable[[], None]:
    """Return a function that saves rows, each in a transaction of its own."""

    def save_in_many() -> None:
        for number in range(count):
            with transaction.atomic():
                model.objects.create(name=f"row {number}", number=number)

    return save_in_many


def empty() -> None:
    """Drop what the last contender has saved, written and enqueued."""
    queue.empty()
    Row.objects.all().delete()
    Message.objects.all().delete()


def _writing(bench: Bench) -> Figure:
    count = bench.size(1_000, 100)
    rows = saved(WithOutboxLater, count)
    times = bench.in_turn(
        {"writing": lambda: _write(rows), "saves": lambda: _save(count)}, rounds=20, before=empty
    )
    return Figure.of_ratios(times["writing"], times["saves"])


def _write(rows: list[Row]) -> float:
    """Return how long it takes from the last signal to the end of the transaction."""
    with transaction.atomic():
        send(rows)
        started = time.perf_counter()
    return time.perf_counter() - started


def _save(count: int) -> float:
    with transaction.atomic():
        started = time.perf_counter()
        for number in range(count):
            WithNothing.objects.create(name=f"row {number}", number=number)
        return time.perf_counter() - started
