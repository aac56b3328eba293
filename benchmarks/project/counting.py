"""Count what a worker's processes have handled, and tell whoever waits for the last row.

The count is in memory that the processes share: to ask a server for each row would slow down the
contender that has one task per row, and nobody else.
"""

from __future__ import annotations

import functools
import multiprocessing
import os

import redis
from celery.signals import worker_ready

from . import queue
from .celery import app

KEY = f"{queue.NAME}.done"

# Made before the worker forks.
_handled = multiprocessing.get_context("fork").Value("q", 0)


def wait(seconds: int) -> None:
    """Return when the worker is ready, or has handled as many rows as ``BENCHMARKS_ROWS`` says.

    Raises:
        TimeoutError: Not in this time.
    """
    if _redis().blpop([KEY], timeout=seconds) is None:
        raise TimeoutError(f"the worker was not done within {seconds} s")


def count(rows: int) -> None:
    """Count rows as handled; called once by each task."""
    with _handled.get_lock():
        _handled.value += rows
        handled = _handled.value
    if handled % int(os.environ["BENCHMARKS_ROWS"]) == 0:
        _tell()


@worker_ready.connect
def _tell(**kwargs: object) -> None:
    _redis().rpush(KEY, 1)


@functools.cache
def _redis() -> redis.Redis:
    # Without a time limit on the socket: the wait has one.
    return redis.Redis.from_url(app.conf.broker_url, socket_timeout=None)
