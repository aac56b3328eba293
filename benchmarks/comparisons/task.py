"""``receiver_task`` against ``on_commit(lambda: task.delay(pk))`` in a receiver."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from celery import shared_task
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from benchmarks.measuring import Bench, Figure
from benchmarks.project import queue
from benchmarks.project.events import in_many, in_one, saved
from benchmarks.project.models import ByHand, ByHandBare, Row, WithPlus
from signals_plus import receiver_task


@shared_task
def handle(pk: int) -> None:
    pass


@receiver(post_save, sender=ByHand)
def enqueue(sender: Any, instance: Row, **kwargs: Any) -> None:
    transaction.on_commit(lambda: handle.delay(instance.pk))


@receiver(post_save, sender=ByHandBare)
def enqueue_by_celery(sender: Any, instance: Row, **kwargs: Any) -> None:
    handle.delay_on_commit(instance.pk)


@receiver_task(post_save, sender=WithPlus)
def handle_in_worker(sender: Any, instance: Row, **kwargs: Any) -> None:
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    figures = {"one": one_each(bench, ByHand), "thousand": _together(bench)}
    if os.environ["BENCHMARKS_BROKER"] == "redis":
        figures["delay_on_commit"] = one_each(bench, ByHandBare)
    return figures


def one_each(bench: Bench, theirs: type[Row]) -> Figure:
    """Send each event in a transaction of its own."""
    return bench.compare(
        in_many(saved(WithPlus, 50)), in_many(saved(theirs, 50)), rounds=40, before=queue.empty
    )


def _together(bench: Bench) -> Figure:
    size = bench.size(1_000, 200)
    return bench.compare(
        in_one(saved(WithPlus, size)), in_one(saved(ByHand, size)), rounds=10, before=queue.empty
    )
