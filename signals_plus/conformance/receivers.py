"""Task receivers that write down each time they run. Found without being imported by anybody."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import F, Model
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import Signal
from django.utils.module_loading import import_string

from .. import Event, payload_type, receiver, receiver_task
from ..signals import enqueue_failed
from . import journal
from .models import (
    Child,
    CompositeRow,
    Described,
    Failing,
    Flaky,
    Gone,
    Hidden,
    Imported,
    Later,
    Left,
    Marker,
    Note,
    Page,
    Parcel,
    Proxy,
    Ranked,
    Right,
    Slow,
    Sorted,
    UuidRow,
)

# Seconds that a slow receiver takes.
SLOW = 0.05

# 247 KiB of JSON, of the 256 KiB that an event may have; no two parts of it are the same.
LARGE = " ".join(f"\N{LATIN SMALL LETTER A WITH DIAERESIS}{number}" for number in range(22_000))

retry_options = (
    import_string(settings.CONFORMANCE_RETRY_OPTIONS) if settings.CONFORMANCE_RETRY_OPTIONS else {}
)


@receiver_task(post_save, sender=Page)
def save_page_again(sender: Any, instance: Page, **kwargs: Any) -> None:
    """Save its own row."""
    instance.saves += 1
    instance.save()
    journal.write("save_page_again", saves=instance.saves)


@receiver_task(post_save, sender=Left)
def save_right(sender: Any, instance: Left, **kwargs: Any) -> None:
    """Save a row whose receiver saves this row."""
    instance.right.save()
    # Last: whoever reads it may rely on what follows from the run being in the queue.
    journal.write("save_right")


@receiver_task(post_save, sender=Right)
def save_left(sender: Any, instance: Right, **kwargs: Any) -> None:
    """Save a row whose receiver saves this row."""
    instance.left.saves += 1
    instance.left.save()
    journal.write("save_left")


def make_closure(label: str) -> Callable[..., None]:
    """Return a function without a name of its own, and another identity in each process."""

    def closure(sender: Any, instance: Any, **kwargs: Any) -> None:
        journal.write(label)
        Page.objects.filter(pk=instance.pk).update(saves=F("saves") + 1)

    return closure


receiver_task(post_save, sender=Page, created=True, name="a closure")(make_closure("closure"))


def _is_no_row_of_the_suite(sender: type[Model], **kwargs: Any) -> bool:
    return sender is Note or sender.__module__.partition(".conformance")[0] != "signals_plus"


@receiver_task(post_save, when=_is_no_row_of_the_suite)
def see_every_row(sender: type[Model], **kwargs: Any) -> None:
    """Run for each row that anybody saves, those that the queue saves included if they arrive."""
    journal.write("see_every_row", sender=sender._meta.label)


@receiver_task(post_save, sender=[Described, Child, Proxy, UuidRow, CompositeRow, Hidden])
async def describe(sender: type[Model], instance: Model, **kwargs: Any) -> None:
    """Write down all its arguments."""
    fields = kwargs["update_fields"]
    journal.write(
        "describe",
        sender=sender.__name__,
        instance=type(instance).__name__,
        pk=str(instance.pk),
        db=instance._state.db,
        created=kwargs["created"],
        using=kwargs["using"],
        raw=kwargs["raw"],
        update_fields=None if fields is None else [type(fields).__name__, *fields],
        signal=kwargs["signal"] is post_save,
    )


@receiver_task(post_save, sender=Slow)
def take_a_while(sender: Any, **kwargs: Any) -> None:
    """Be slow."""
    time.sleep(SLOW)
    journal.write("take_a_while")


@receiver_task(post_save, sender=Failing)
def fail(sender: Any, **kwargs: Any) -> None:
    """Fail, whatever is done about it."""
    journal.write("fail")
    raise LookupError("the failure of a conformance receiver")


@receiver_task(post_save, sender=Flaky, **retry_options)
def fail_twice(sender: Any, **kwargs: Any) -> None:
    """Fail until it is run for the third time."""
    journal.write("fail_twice")
    runs = [run for run in journal.read(settings.FOLDER) if run["receiver"] == "fail_twice"]
    if retry_options and len(runs) < 3:
        raise LookupError("a failure that passes")


@receiver_task(
    post_save,
    sender=Later,
    run_after=timedelta(seconds=1) if settings.CONFORMANCE_RUN_AFTER else None,
)
def run_later(sender: Any, **kwargs: Any) -> None:
    """Run a second later, where the queue can wait."""
    journal.write("run_later", at=time.time())


@receiver_task(post_save, sender=Sorted, queue_name=settings.CONFORMANCE_QUEUE_NAME or None)
def run_elsewhere(sender: Any, **kwargs: Any) -> None:
    """Run from another queue, where there are several."""
    journal.write("run_elsewhere")


def run_in_turn(priority: int) -> Callable[..., None]:
    """Return a function that writes down which priority its task has."""

    def run(sender: Any, **kwargs: Any) -> None:
        journal.write("run_in_turn", priority=priority)

    return run


for each in settings.CONFORMANCE_PRIORITIES:
    decorate = receiver_task(
        post_save, sender=Ranked, queue_priority=each, name=f"a priority of {each}"
    )
    decorate(run_in_turn(each))


@receiver_task(post_save, sender=Gone)
def see_nothing(sender: Any, **kwargs: Any) -> None:
    """Never run: its rows are gone."""
    journal.write("see_nothing")


def count(sender: Any, events: list[Event], **kwargs: Any) -> None:
    """Run for many rows at once."""
    journal.write("count", numbers=[event.instance.number for event in events])


# A queue that writes its rows within the transaction has no moment to put events together.
if settings.CONFORMANCE_MERGES:
    receiver_task(post_save, sender=Imported, batch=True)(count)


parcel_paid = Signal()
parcel_described = Signal()


@payload_type("signals_plus_conformance.Price")
@dataclass(frozen=True)
class Price:
    """A type of the project's own."""

    amount: Decimal
    currency: str


@receiver_task(post_delete, sender=Parcel)
def forget(sender: Any, instance: Parcel, origin: type[Model], **kwargs: Any) -> None:
    """Get a row that is gone as it was."""
    journal.write("forget", pk=instance.pk, name=instance.name, origin=origin.__name__)


@receiver_task(m2m_changed, sender=Parcel.labels.through)
def stick(sender: Any, instance: Parcel, action: str, pk_set: set[int], **kwargs: Any) -> None:
    """Get the keys of other rows."""
    journal.write("stick", name=instance.name, action=action, pks=repr(pk_set))


@receiver_task(parcel_paid, sender=Parcel)
def book(sender: Any, parcel: Parcel, price: Price, **kwargs: Any) -> None:
    """Get the arguments of a signal of the project's own."""
    journal.write("book", name=parcel.name, price=repr(price))


@receiver_task(parcel_described, sender=Parcel)
def read(sender: Any, text: str, **kwargs: Any) -> None:
    """Get all of a large text."""
    journal.write("read", is_whole=text == LARGE)


@receiver_task(post_save, sender=Marker)
def mark(sender: Any, instance: Marker, **kwargs: Any) -> None:
    """Show how far the worker has come."""
    journal.write("mark", pk=instance.pk)


@receiver(enqueue_failed)
def note_failure(task_name: str, error: Exception, **kwargs: Any) -> None:
    """Note what a queue did not take."""
    journal.write("enqueue_failed", task_name=task_name, error=type(error).__name__)


# Nor has it one to write them to the outbox, and a process that runs tasks itself dies with them.
if settings.CONFORMANCE_DURABLE:
    from . import durable_receivers  # noqa: F401 - they are connected
