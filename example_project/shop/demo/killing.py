"""The scene in which a worker and a relay are killed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import Count

from shop.models import Shipment
from shop.services import ship
from signals_plus.outbox.models import Message

from . import processes
from .rows import names, runs
from .stage import Check, Stage

logger = logging.getLogger(__name__)

TIMEOUT = 20  # seconds
ADDRESSES = ["Ada", "Bob", "Cyd", "Dov"]


def kill_both(stage: Stage) -> list[Check]:
    """The worker is killed before it has committed what it did, the relay with what it claimed."""
    worker = stage.worker
    with _relay(stage) as relay:
        ship(ADDRESSES)
        mark = worker.send_mark()
        worker.wait_for(
            lambda: bool(_packers(stage)) or worker.has_run(mark), TIMEOUT, "packed a parcel"
        )
        if not (packers := _packers(stage)):
            return [Check("the worker packs", "pack", names(stage.settle()))]
        worker.kill(packers[0])
        _say("the worker, which has not committed its parcel")
        left = _parcels()
        worker.wait_for(lambda: _has_claimed(relay), TIMEOUT, "was killed, and the relay claimed")
        processes.kill(relay)
        _say("the relay, which has claimed what is to be packed")
    with _relay(stage):
        worker.replace()
        worker.wait_for(lambda: not Message.objects.exists(), TIMEOUT, "packed all that is left")
    rows = stage.settle()
    return [
        Check("the killed worker has left nothing behind", [0, 0, 0, 0], left),
        Check("each of 4 shipments has exactly one parcel", [1, 1, 1, 1], _parcels()),
        Check("the one that was cut short was packed twice", 5, runs("pack", rows)),
        Check("no message is left in the outbox", 0, Message.objects.count()),
    ]


@contextmanager
def _relay(stage: Stage) -> Iterator[processes.Process]:
    """Run ``manage.py relay_outbox`` as another process, and end it at the end of the block."""
    worker = stage.worker
    log = worker.log.with_name("relay.log")
    relay = processes.start(["django", "relay_outbox"], worker.folder, log)
    try:
        yield relay
    finally:
        processes.end(relay)


def _packers(stage: Stage) -> list[int]:
    """Return the processes that have packed parcels, or are at it."""
    return [row.pid for row in stage.worker.trace.rows() if row.who == "pack"]


def _has_claimed(relay: processes.Process) -> bool:
    return Message.objects.filter(claimed_by__contains=f":{relay.pid}:").exists()


def _parcels() -> list[int]:
    """Count the parcels of each shipment."""
    counted = Shipment.objects.annotate(count=Count("parcels")).order_by("pk")
    return [shipment.count for shipment in counted]


def _say(whom: str) -> None:
    logger.info("%s", whom, extra={"who": "SIGKILL"})
