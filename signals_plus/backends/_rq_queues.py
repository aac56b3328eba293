"""The queues of django-rq, and how a job is put into one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from django_rq.jobs import get_job_class
from django_rq.queues import DjangoRQ, get_queue, get_queue_class, get_result_ttl
from redis import Redis
from redis.client import Pipeline
from rq import Queue
from rq.job import Job

from .base import Task
from .by_name import path_of


def open_queue(queue_name: str, connection: Redis) -> Queue:
    """Return a queue of ``RQ_QUEUES`` that takes jobs at once.

    django-rq's own waits for the transaction that is open on the database ``default``: what was
    committed elsewhere would be lost when that one rolls back.
    """
    return get_queue(queue_name, connection=connection, commit_mode="auto")


def takes_many(queue_name: str) -> bool:
    """Tell whether jobs may go out together: none is run here, and RQ's own classes take them."""
    config = django_settings.RQ_QUEUES[queue_name]  # type: ignore[misc]  # of django-rq
    is_own = get_queue_class(config) in (DjangoRQ, Queue) and get_job_class() is Job
    return is_own and config.get("ASYNC", True)


def open_pipeline(queue_name: str, client: Redis, version: tuple[int, int, int]) -> Queue:
    """Return a queue of RQ's own whose commands are kept in its connection, until it is executed.

    A pipeline given to each call would not do: to schedule a job, RQ writes past it.
    ``version``: of Redis, which RQ would ask for.
    """
    pipeline = client.pipeline()
    pipeline.multi()
    queue = get_queue(
        queue_name, connection=pipeline, commit_mode="auto", queue_class=DjangoRQ, job_class=Job
    )
    queue.redis_server_version = version
    return queue


def put(queue: Queue, task: Task, payload: str, pipeline: Pipeline | None = None) -> Job:
    """Make a job of a payload, and write it to the queue, or to the pipeline that it has."""
    options: dict[str, Any] = {"result_ttl": get_result_ttl(queue.name), **task.options}
    if "meta" in options:
        options["meta"] = dict(options["meta"])  # a job that runs at once may write to it
    job = (path_of(task.name), payload)
    options |= {"description": task.name, "pipeline": pipeline}
    if task.run_after is None:
        return queue.enqueue(*job, **options)
    return queue.enqueue_at(_not_before(task.run_after), *job, **options)


def _not_before(run_after: timedelta) -> datetime:
    """Return when a job is due: RQ leaves out the fraction of a second."""
    due = datetime.now(UTC) + run_after
    return due + timedelta(seconds=1) if due.microsecond else due
