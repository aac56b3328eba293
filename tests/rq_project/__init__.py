"""What the tests of the RQ backend need: queues of their own in Redis, and options by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_rq.connection_utils import get_redis_connection
from django_rq.queues import DjangoRQ
from redis import Redis
from rq import Queue, Retry
from rq.job import Job

from tests.errors import Unsayable

RETRY = {"retry": Retry(max=5)}

# The registries of a queue, by the names of their keys, in which the jobs are that it has not.
REGISTRIES = (
    "started_job_registry", "finished_job_registry", "failed_job_registry",
    "scheduled_job_registry", "deferred_job_registry", "canceled_job_registry",
)  # fmt: skip


def open_queue(name: str, config: Mapping[str, Any]) -> Queue:
    """Open a queue of a project, without its settings."""
    connection = get_redis_connection(dict(config))
    return Queue(name, connection=connection, serializer=config.get("SERIALIZER"))


def jobs_of(queue: Queue) -> list[Job]:
    """Return all jobs of a queue: those that wait, and those that were run."""
    ids = [*queue.job_ids]
    for registry in REGISTRIES:
        ids += getattr(queue, registry).get_job_ids()
    found = Job.fetch_many(ids, connection=queue.connection, serializer=queue.serializer)
    return [job for job in found if job is not None]


def remove(queue: Queue) -> None:
    """Take a queue out of Redis, and all its jobs, those that are in no list among them."""
    connection = queue.connection
    for key in connection.scan_iter("rq:job:*"):
        if connection.hget(key, "origin") == queue.name.encode():
            connection.delete(key, key.replace(b":job:", b":results:"))
    queue.delete(delete_jobs=False)
    keys = [getattr(queue, registry).key for registry in REGISTRIES]
    connection.delete(*keys, f"rq:scheduler-lock:{queue.name}")
    connection.close()


class RedisCache:
    """A cache that hands out its own client, as those do that USE_REDIS_CACHE names."""

    def __init__(self, location: str, params: Mapping[str, Any]) -> None:
        self._client = Redis.from_url(location, socket_timeout=77)

    def close(self) -> None:
        """Called by Django, as for any cache."""


class Choosy(DjangoRQ):
    """A queue class of a project, which does not want each job."""

    def enqueue_job(self, job: Job, *args: Any, **kwargs: Any) -> Job:
        if "bad" in job.args:
            raise LookupError("a job that the project does not want")
        if "unsayable" in job.args:
            raise Unsayable
        return super().enqueue_job(job, *args, **kwargs)


class Capped(DjangoRQ):
    """One that asks Redis what waits before it takes a job."""

    def enqueue_call(self, *args: Any, **kwargs: Any) -> Job:
        self._refuse_above(3)
        return super().enqueue_call(*args, **kwargs)

    def schedule_job(self, *args: Any, **kwargs: Any) -> Job:
        self._refuse_above(3)
        return super().schedule_job(*args, **kwargs)

    def _refuse_above(self, limit: int) -> None:
        if len(self.jobs) >= limit or self.count >= limit:
            raise LookupError("enough is waiting")


class AskingJob(Job):
    """A job class of a project that asks Redis before it is written."""

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.connection.llen("rq:queue:no-such-queue") > 0:
            raise LookupError("a job that the project does not want")
        super().save(*args, **kwargs)


def note_failure(job: Job, *args: Any) -> None:
    """Called by a worker."""
