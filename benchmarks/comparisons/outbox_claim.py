"""A claim while an old snapshot keeps the rows of the past from being cleaned up, PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from django.db import connections, transaction

from benchmarks.measuring import Bench, Figure
from signals_plus.outbox.models import Message
from signals_plus.outbox.rows import NewMessage
from signals_plus.outbox.table import OutboxTable

CLEAN, PINNED = "other", "default"
DUE = 2_000


def measure(bench: Bench) -> Mapping[str, Figure]:
    for using in (CLEAN, PINNED):
        _insert(using, 1)
    with _old_snapshot(PINNED):
        # What was there, and is done: too young for that snapshot to let it go.
        for _ in range(bench.size(60, 2)):
            _insert(PINNED, 1_000)
            Message.objects.using(PINNED).all().delete()
        for using in (CLEAN, PINNED):
            _insert(using, DUE)
            _vacuum(using)
        times = bench.in_turn(
            {using: lambda u=using: _claim(u) for using in (CLEAN, PINNED)},  # type: ignore[misc]
            rounds=100,
            before=lambda: _vacuum(CLEAN),
        )
    figure = Figure.of_ratios(times[PINNED], times[CLEAN])
    milliseconds = sorted(times[PINNED])[len(times[PINNED]) // 2] * 1_000
    return {
        "pinned": Figure(figure.value, figure.low, figure.high, f"{milliseconds:.1f} ms"),
    }


def _claim(using: str) -> float:
    """Return how long it takes to claim a hundred. They are given back."""
    table = OutboxTable(using)
    with transaction.atomic(using):
        started = time.perf_counter()
        claimed = table.claim("benchmark", 100, grace=30)
        took = time.perf_counter() - started
        transaction.set_rollback(True, using)
    if len(claimed) != 100:
        raise RuntimeError(f"{len(claimed)} messages were claimed")
    return took


def _insert(using: str, count: int) -> None:
    OutboxTable(using).insert(
        [NewMessage(uuid4(), "benchmarks", "{}", "", True, None, 0) for _ in range(count)]
    )


def _vacuum(using: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {Message._meta.db_table}")


@contextmanager
def _old_snapshot(using: str) -> Iterator[None]:
    """Hold a snapshot as a backup or a report does."""
    settings = connections[using].settings_dict
    with psycopg.connect(
        host=settings["HOST"], user=settings["USER"], dbname=settings["NAME"]
    ) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute(f"SELECT count(*) FROM {Message._meta.db_table}")
        yield
