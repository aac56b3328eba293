"""RQ on Redis: ``SHOP_REDIS_URL``, by itself ``redis://127.0.0.1:6379/0``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

TITLE = "RQ"
DISTRIBUTION = "rq"
WORKER = ["django", "rqworker", "default"]


def settings(var: Path) -> dict[str, Any]:
    """Return what django-rq needs."""
    return {
        "QUEUE_APPS": ["django_rq"],
        "RQ_QUEUES": {
            "default": {
                "URL": os.environ.get("SHOP_REDIS_URL", "redis://127.0.0.1:6379/0"),
                "SERIALIZER": "rq.serializers.JSONSerializer",
            },
        },
        "SIGNALS_PLUS_BACKENDS": {
            "default": {"BACKEND": "signals_plus.backends.rq.RQBackend"},
        },
    }


def delete() -> None:
    """Take the queue out of Redis."""
    import django_rq  # noqa: PLC0415 - it reads the settings

    django_rq.get_queue("default").delete(delete_jobs=True)
