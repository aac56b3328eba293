"""RQ on Redis: ``SHOP_REDIS_URL``, by itself ``redis://127.0.0.1:6379/0``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

TITLE = "RQ"
DISTRIBUTION = "rq"
SERIALIZER = "rq.serializers.JSONSerializer"


def settings(var: Path) -> dict[str, Any]:
    """Return what django-rq needs."""
    return {
        "QUEUE_APPS": ["django_rq"],
        "RQ_QUEUES": {
            # Two shops on one Redis must not take each other's tasks.
            var.name: {
                "URL": os.environ.get("SHOP_REDIS_URL", "redis://127.0.0.1:6379/0"),
                "SERIALIZER": SERIALIZER,
                "DEFAULT_RESULT_TTL": 0,
            },
        },
        "SIGNALS_PLUS_BACKENDS": {
            "default": {
                "BACKEND": "signals_plus.backends.rq.RQBackend",
                "OPTIONS": {"queue_name": var.name},
            },
        },
    }


def worker(var: Path) -> list[str]:
    """Return what Python is given to start a worker."""
    return ["django", "rqworker", var.name, "--serializer", SERIALIZER]


def delete(var: Path) -> None:
    """Take the queue out of Redis, with what a worker that was killed has left there."""
    import django_rq  # noqa: PLC0415 - it reads the settings
    from rq import Worker  # noqa: PLC0415

    queue = django_rq.get_queue(var.name)
    for worker in Worker.all(queue=queue):
        worker.register_death()
    for job_id in queue.started_job_registry.get_job_ids(cleanup=False):
        if job := queue.fetch_job(job_id):
            job.delete()
    queue.delete(delete_jobs=True)
