"""The receivers whose work a worker does, and the tasks by hand that do the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import shared_task
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from signals_plus import receiver_task

from . import counting
from .models import ByHand, ByHandChunked, Row, WithPlusBatched

CHUNK = 1_000


def handle(rows: Iterable[Row]) -> None:
    """Do what there is to do with rows: next to nothing, for all contenders."""
    counting.count(sum(bool(row.name) for row in rows))


@receiver_task(post_save, sender=WithPlusBatched, batch=True, batch_size=CHUNK)
def handle_batch(sender: Any, events: list[Any], **kwargs: Any) -> None:
    handle(event.instance for event in events)


@shared_task
def handle_one(pk: int) -> None:
    handle([Row.objects.get(pk=pk)])


@receiver(post_save, sender=ByHand)
def enqueue_one(sender: Any, instance: Row, **kwargs: Any) -> None:
    transaction.on_commit(lambda: handle_one.delay(instance.pk))


@shared_task
def handle_chunk(pks: list[int]) -> None:
    handle(Row.objects.in_bulk(pks).values())


# By hand, as fast as can be: it forgets what was sent in a transaction that rolled back only in
# the next one, and takes savepoints for granted.
_pending: list[int] = []


@receiver(post_save, sender=ByHandChunked)
def enqueue_chunks(sender: Any, instance: Row, **kwargs: Any) -> None:
    if not _pending:
        transaction.on_commit(_publish_chunks)
    _pending.append(instance.pk)


def _publish_chunks() -> None:
    pks = _pending.copy()
    _pending.clear()
    for start in range(0, len(pks), CHUNK):
        handle_chunk.delay(pks[start : start + CHUNK])
