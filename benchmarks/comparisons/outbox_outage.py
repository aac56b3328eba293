"""How long a request takes whose broker has just gone, or does not answer any more."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from benchmarks.measuring import Bench, Figure
from benchmarks.project.celery import app
from benchmarks.project.models import Row, WithOutbox
from benchmarks.soak.processes import Broker, eventually
from signals_plus import receiver_task
from signals_plus.backends.handler import backends
from signals_plus.outbox.models import Message


@receiver_task(post_save, sender=WithOutbox, durable=True)
def handle_durably(sender: Any, instance: Row, **kwargs: Any) -> None:
    pass


def measure(bench: Bench) -> Mapping[str, Figure]:
    logging.getLogger("signals_plus").addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory(dir=os.environ["BENCHMARKS_FOLDER"]) as folder:
        broker = Broker(Path(folder))
        app.conf.broker_url = broker.url
        rounds = bench.size(7, 2)
        try:
            return {
                "refused": Figure.of([_with(broker, broker.kill) for _ in range(rounds)]),
                "hung": Figure.of([_with(broker, broker.pause) for _ in range(rounds)]),
            }
        finally:
            broker.kill()


def _with(broker: Broker, fault: Callable[[], None]) -> float:
    """Return the milliseconds of a request after the fault. Its connection is idle by then."""
    broker.kill()
    broker.start()
    eventually(broker.answers, "the broker answers", seconds=30)
    backends["default"].close()  # it remembers the last fault
    _request()
    fault()
    return _request() * 1_000


def _request() -> float:
    before = Message.objects.count()
    started = time.perf_counter()
    with transaction.atomic():
        WithOutbox.objects.create(name="row")
    took = time.perf_counter() - started
    if Message.objects.count() != before + 1:
        raise RuntimeError("the message was not written")
    return took
