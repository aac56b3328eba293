"""What the demo adds to its Celery worker (``celery worker --include shop.demo.in_worker``)."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any

from celery import current_app, shared_task
from celery.signals import worker_init, worker_ready, worker_shutdown

logger = logging.getLogger(__name__)

READY = "worker ready"
MARK = "mark"


@shared_task(ignore_result=True)
def mark(number: int) -> None:
    """Say in the log that all tasks enqueued before this one have run."""
    logger.info("%s", number, extra={"who": MARK})


@worker_ready.connect
def say_ready(**kwargs: Any) -> None:
    """Say in the log that tasks are taken from here on."""
    worker_shutdown.connect(delete_queue)
    logger.info("", extra={"who": READY})


def delete_queue(**kwargs: Any) -> None:
    """Leave nothing behind on a real broker."""
    with current_app.connection_for_write() as connection:
        queue = current_app.amqp.queues[current_app.conf.task_default_queue](connection)
        queue.declare()  # kombu's channel for Redis deletes only what it has declared itself
        queue.delete()
        queue.exchange.delete()


@worker_init.connect
def end_with_the_demo(**kwargs: Any) -> None:
    """End the worker when the demo is gone, however it went: its end of our stdin closes."""
    threading.Thread(target=_wait_for_the_end_of_stdin, daemon=True).start()


def _wait_for_the_end_of_stdin() -> None:
    # The file descriptor, not sys.stdin: its lock would be in the way when Python ends.
    while os.read(sys.__stdin__.fileno(), 1024):  # type: ignore[union-attr]
        pass
    os._exit(1)
