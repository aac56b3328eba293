"""Task receivers that write down each time they run. Found without being imported by anybody."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import F, Model
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import Signal

from signals_plus import Event, payload_type, receiver_task

from .models import (
    Audited,
    Child,
    CompositeRow,
    Described,
    Flaky,
    Gone,
    Hidden,
    Imported,
    Left,
    Marker,
    Page,
    Parcel,
    Proxy,
    Right,
    Run,
    Slow,
    UuidRow,
)


def write_down(receiver: str, **detail: Any) -> None:
    Run.objects.create(receiver=receiver, pid=os.getpid(), detail=detail)


@receiver_task(post_save, sender=Page)
def save_page_again(sender: Any, instance: Page, **kwargs: Any) -> None:
    """Saves its own row."""
    write_down("save_page_again")
    instance.saves += 1
    instance.save()


@receiver_task(post_save, sender=Left)
def save_right(sender: Any, instance: Left, **kwargs: Any) -> None:
    """Saves a row whose receiver saves this row."""
    write_down("save_right")
    instance.right.save()


@receiver_task(post_save, sender=Right)
def save_left(sender: Any, instance: Right, **kwargs: Any) -> None:
    write_down("save_left")
    instance.left.saves += 1
    instance.left.save()


def make_audit(label: str) -> Callable[..., None]:
    def audit(sender: Any, instance: Any, **kwargs: Any) -> None:
        write_down(label)
        instance.saves = F("saves") + 1
        instance.save()

    return audit


# A closure, which has no name of its own and another identity in each process.
receiver_task(post_save, sender=Audited, name="worker_project.audit")(make_audit("audit"))


@receiver_task(post_save, sender=[Described, Child, Proxy, UuidRow, CompositeRow, Hidden])
async def describe(sender: type[Model], instance: Model, **kwargs: Any) -> None:
    """Writes down all its arguments."""
    fields = kwargs["update_fields"]
    await Run.objects.acreate(
        receiver="describe",
        pid=os.getpid(),
        detail={
            "sender": sender.__name__,
            "instance": type(instance).__name__,
            "pk": str(instance.pk),
            "db": instance._state.db,
            "created": kwargs["created"],
            "using": kwargs["using"],
            "raw": kwargs["raw"],
            "update_fields": None if fields is None else [type(fields).__name__, *fields],
            "signal": kwargs["signal"] is post_save,
        },
    )


@receiver_task(
    post_save, sender=Flaky, autoretry_for=(LookupError,), retry_kwargs={"countdown": 0},
    max_retries=5,
)  # fmt: skip
def fail_twice(sender: Any, **kwargs: Any) -> None:
    write_down("fail_twice")
    if Run.objects.filter(receiver="fail_twice").count() < 3:
        raise LookupError


@receiver_task(post_save, sender=Slow, countdown=1)
def run_later(sender: Any, **kwargs: Any) -> None:
    write_down("run_later")


@receiver_task(post_save, sender=Gone)
def see_nothing(sender: Any, **kwargs: Any) -> None:
    write_down("see_nothing")


@receiver_task(post_save, sender=Imported, batch=True)
def count(sender: Any, events: list[Event], **kwargs: Any) -> None:
    write_down("count", numbers=[event.instance.number for event in events])


parcel_paid = Signal()


@payload_type("worker_project.Price")
@dataclass(frozen=True)
class Price:
    amount: Decimal
    currency: str


@receiver_task(post_delete, sender=Parcel)
def forget(sender: Any, instance: Parcel, origin: type[Model], **kwargs: Any) -> None:
    write_down("forget", pk=instance.pk, name=instance.name, origin=origin.__name__)


@receiver_task(m2m_changed, sender=Parcel.labels.through)
def stick(sender: Any, instance: Parcel, action: str, pk_set: set[int], **kwargs: Any) -> None:
    write_down("stick", name=instance.name, action=action, pks=repr(pk_set))


@receiver_task(parcel_paid, sender=Parcel)
def book(sender: Any, parcel: Parcel, price: Price, **kwargs: Any) -> None:
    write_down("book", name=parcel.name, price=repr(price))


@receiver_task(post_save, sender=Marker)
def mark(sender: Any, **kwargs: Any) -> None:
    write_down("mark")
