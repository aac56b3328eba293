"""The queue that the contenders publish to."""

from __future__ import annotations

import gc
import os

from .celery import app

NAME = os.environ["BENCHMARKS_QUEUE"]


def empty() -> None:
    """Drop what was published, once the broker has it all: nobody is to work it off."""
    gc.collect()
    with app.connection_for_write() as connection, connection.channel() as channel:
        app.amqp.queues[NAME](channel).declare()
        channel.queue_purge(NAME)


def delete() -> None:
    """Leave nothing behind in the broker."""
    with app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_delete(NAME)
        if hasattr(channel, "client"):  # Redis keeps what the queue was bound to
            channel.client.delete(*channel.client.keys(f"*{NAME}*"), NAME)
