"""Durable receivers: their messages are in the outbox until they are done.

What they write to the database comes and goes with the message; the journal has every attempt.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models.signals import post_save
from django.utils.module_loading import import_string

from .. import Event, receiver_task
from . import journal
from .models import Doubtful, Draft, Entry, Hopeless, Ledger, Letter, Payment, Step

retry_options = (
    import_string(settings.CONFORMANCE_RETRY_OPTIONS) if settings.CONFORMANCE_RETRY_OPTIONS else {}
)


@receiver_task(post_save, sender=Payment, durable=True)
def enter(sender: Any, instance: Payment, using: str, **kwargs: Any) -> None:
    """Write an entry."""
    Entry.objects.using(using).create(name=instance.name)
    journal.write("enter", name=instance.name)


@receiver_task(post_save, sender=Letter, durable="publish")
def post(sender: Any, **kwargs: Any) -> None:
    """Run for what the queue has, and the outbox has no more."""
    journal.write("post")


@receiver_task(post_save, sender=Doubtful, durable=True, **retry_options)
def doubt(sender: Any, **kwargs: Any) -> None:
    """Write an entry, and fail until it is run for the third time."""
    Entry.objects.create(name="doubtful")
    journal.write("doubt")
    if sum(run["receiver"] == "doubt" for run in journal.read(settings.FOLDER)) < 3:
        raise LookupError("a doubt that passes")


@receiver_task(post_save, sender=Hopeless, durable=True)
def despair(sender: Any, **kwargs: Any) -> None:
    """Write an entry, and fail."""
    Entry.objects.create(name="hopeless")
    journal.write("despair")
    raise LookupError("the failure of a durable receiver")


@receiver_task(post_save, sender=Ledger, durable=True, batch=True)
def sum_up(sender: Any, events: list[Event], **kwargs: Any) -> None:
    """Run for many rows at once."""
    journal.write("sum_up", numbers=[event.instance.number for event in events])


@receiver_task(post_save, sender=Draft, durable=True, coalesce=True)
def print_out(sender: Any, instance: Draft, created: bool, **kwargs: Any) -> None:
    """Run once for a row, however often it was saved."""
    journal.write("print_out", text=instance.text, created=created)


def stairs(instance: Step, **kwargs: Any) -> str:
    """Return the key of a step: a hundred of them are in one order."""
    return f"stairs {instance.number // 100}"


@receiver_task(post_save, sender=Step, durable=True, ordering_key=stairs)
def climb(sender: Any, instance: Step, **kwargs: Any) -> None:
    """Run for one step after the other."""
    journal.write("climb", number=instance.number)
