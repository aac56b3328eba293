"""How fast one relay takes messages from the table to the broker."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.db import connection
from django.db.models.signals import post_save

from benchmarks.measuring import Bench, Figure
from benchmarks.project import queue
from benchmarks.project.models import Row, WithOutbox, WithOutboxPublished
from signals_plus import receiver_task
from signals_plus.outbox.models import Message
from signals_plus.outbox.relay import Relay
from signals_plus.outbox.rows import NewMessage
from signals_plus.outbox.table import OutboxTable
from signals_plus.registry import registry

PAYLOAD = '{"v":2,"receiver":"benchmarks","events":[{"signal":"post_save","row":[1,"default"]}]}'


@receiver_task(post_save, sender=WithOutbox, durable=True, name="benchmarks.effect")
def handle_durably(sender: Any, instance: Row, **kwargs: Any) -> None:
    pass


@receiver_task(post_save, sender=WithOutboxPublished, durable="publish", name="benchmarks.publish")
def handle_published(sender: Any, instance: Row, **kwargs: Any) -> None:
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    count, behind = bench.size(5_000, 300), bench.size(50_000, 300)
    relay = Relay(["default"])
    times = bench.in_turn(
        {
            "effect": lambda: _relayed(relay, "effect", count),
            "backlog": lambda: _relayed(relay, "effect", count, behind=behind),
            "publish": lambda: _relayed(relay, "publish", count),
        },
        rounds=10,
        before=queue.empty,
    )
    figures = {name: Figure.of([each * 1e6 for each in times[name]]) for name in times}
    return {
        name: Figure(each.value, each.low, each.high, f"{1e6 / each.value:.0f} messages/s")
        for name, each in figures.items()
    }


def _relayed(relay: Relay, name: str, count: int, *, behind: int = 0) -> float:
    """Return the seconds for each of so many messages that are due, with others behind them."""
    task = registry[f"benchmarks.{name}"].task
    effect = name == "effect"
    _clear()
    OutboxTable("default").insert(
        [
            NewMessage(uuid4(), task.name, PAYLOAD, "", effect, None, 0)
            for _ in range(count + behind)
        ]
    )
    _settle()
    started = time.perf_counter()
    relayed = 0
    while relayed < count:
        enqueued = relay.run_once()
        if not enqueued:
            raise RuntimeError(f"{relayed} of {count} messages were relayed")
        relayed += enqueued
    return (time.perf_counter() - started) / count


def _clear() -> None:
    Message.objects.all().delete()
    _settle()


def _settle() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {Message._meta.db_table}")
