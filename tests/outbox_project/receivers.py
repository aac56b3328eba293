"""What the relay of the process knows."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save

from signals_plus import receiver_task
from tests.outbox_project import NAME


@receiver_task(post_save, sender="testapp.Item", durable=True, name=NAME)
def handle(sender: Any, **kwargs: Any) -> None:
    """Be enqueued."""
