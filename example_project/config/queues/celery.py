"""Celery over a folder; with ``CELERY_BROKER_URL``, over a real broker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

TITLE = "Celery"
DISTRIBUTION = "celery"


def settings(var: Path) -> dict[str, Any]:
    """Return what Celery needs; ``config.celery`` reads it."""
    common = {
        # Two shops on one broker must not take each other's tasks.
        "CELERY_TASK_DEFAULT_QUEUE": var.name,
        # A worker without its broker says so and ends, instead of trying again for ever.
        "CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP": False,
        "CELERY_WORKER_HIJACK_ROOT_LOGGER": False,
        # Options of the receivers that send mails.
        "MAIL_OPTIONS": {"autoretry_for": (OSError,), "max_retries": 3},
    }
    if url := os.environ.get("CELERY_BROKER_URL"):
        timeouts = {"socket_timeout": 5, "socket_connect_timeout": 5}
        return {
            **common,
            "CELERY_BROKER_URL": url,
            "CELERY_BROKER_TRANSPORT_OPTIONS": timeouts if url.startswith("redis") else {},
        }
    folder = var / "queue"
    folder.mkdir(parents=True, exist_ok=True)
    return {
        **common,
        "CELERY_BROKER_URL": "filesystem://",
        "CELERY_BROKER_TRANSPORT": "config.transport:Transport",
        "CELERY_BROKER_TRANSPORT_OPTIONS": {
            "data_folder_in": folder,
            "data_folder_out": folder,
            "control_folder": folder / "control",
            "polling_interval": 0.05,
        },
    }


def worker(var: Path) -> list[str]:
    """Return what Python is given to start a worker."""
    # A node of its own name, or RabbitMQ gives the queue of its mailbox to another.
    return [
        *["celery", "-A", "config", "worker", "--pool", "solo", "--loglevel", "INFO"],
        "--hostname", f"{var.name}@%h",
    ]  # fmt: skip


def delete(var: Path) -> None:
    """Take the queue out of the broker."""
    from celery import current_app  # noqa: PLC0415 - the app is made once settings are read

    with current_app.connection_for_write() as connection:
        queue = current_app.amqp.queues[current_app.conf.task_default_queue](connection)
        queue.declare()  # kombu's channel for Redis deletes only what it has declared itself
        queue.delete()
        queue.exchange.delete()
