"""What the workers do: one effect for each event."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

from django.db.models.signals import post_save

from signals_plus import receiver_task

from . import journal
from .models import Durable, Effect, Event, Held, Ordered, Plain, Published

# Seconds that the work takes, before and after its effect is written: room to be killed in.
WORK = float(os.environ.get("SOAK_WORK", "0.02"))


def take_effect(event: Event) -> None:
    """Leave one row, and a line in a file that no rollback undoes."""
    journal.begun(event.pk)
    time.sleep(WORK)
    Effect.objects.create(event=event.pk, nonce=uuid.uuid4())
    time.sleep(WORK)


@receiver_task(post_save, sender=Durable, durable=True)
def durable(sender: Any, instance: Event, **kwargs: Any) -> None:
    take_effect(instance)


def key_of(instance: Event, **kwargs: Any) -> str:
    return instance.key


@receiver_task(post_save, sender=Ordered, durable=True, ordering_key=key_of)
def ordered(sender: Any, instance: Event, **kwargs: Any) -> None:
    take_effect(instance)


@receiver_task(post_save, sender=Held, durable=True, atomic=False)
def held(sender: Any, instance: Event, **kwargs: Any) -> None:
    take_effect(instance)


@receiver_task(post_save, sender=Published, durable="publish")
def published(sender: Any, instance: Event, **kwargs: Any) -> None:
    take_effect(instance)


@receiver_task(post_save, sender=Plain)
def plain(sender: Any, instance: Event, **kwargs: Any) -> None:
    take_effect(instance)
