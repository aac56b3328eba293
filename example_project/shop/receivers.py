"""What happens when rows are saved.

signals_plus imports this module in every process, because the app is in INSTALLED_APPS. Each
receiver says in the log that it ran: the demo reads it from there.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from django import dispatch
from django.conf import settings
from django.db.models import F
from django.db.models.signals import post_save

from signals_plus import Event, receiver, receiver_on_commit, receiver_task

from . import services
from .models import (
    AuditLine,
    CatalogueEntry,
    Customer,
    IndexedEntry,
    Order,
    Parcel,
    Payment,
    Product,
    Review,
    Shipment,
)

logger = logging.getLogger(__name__)

PACKING_TIME = 0.3  # seconds
REGIONS = {"1": "north", "2": "east", "3": "south", "4": "west"}


@receiver(post_save, sender=Order, created=True)
def reserve_stock(sender: type[Order], instance: Order, **kwargs: Any) -> None:
    """Take the goods from the shelf: at once, in the order's own transaction."""
    product = Product.objects.filter(pk=instance.product_id)
    product.update(stock=F("stock") - instance.quantity)
    logger.info("%s left in stock", product.get().stock)


@receiver_on_commit(post_save, sender=Order, created=True)
def write_audit_line(sender: type[Order], instance: Order, **kwargs: Any) -> None:
    """Write what is certain into the books: after the commit, in the same process."""
    AuditLine.objects.create(text=f"{instance.email}: {instance}")
    logger.info("%s", instance)


# MAIL_OPTIONS: how the queue tries again, if it does; for Celery autoretry_for=(OSError,).
@receiver_task(post_save, sender=Order, created=True, **settings.MAIL_OPTIONS)
def send_confirmation(sender: type[Order], instance: Order, **kwargs: Any) -> None:
    """Send the mail: after the commit, in a worker."""
    services.mail_confirmation(instance)
    logger.info("mail to %s", instance.email)


@receiver(post_save, sender=Review)
def score_review(sender: type[Review], instance: Review, **kwargs: Any) -> None:
    """Save the score into the row that was just saved. The guard keeps it from going round."""
    instance.score = instance.text.count("good") - instance.text.count("bad")
    instance.save()
    logger.info("score %s saved", instance.score)


@receiver_task(post_save, sender=Customer)
def find_region(sender: type[Customer], instance: Customer, **kwargs: Any) -> None:
    """Save the region in a worker. The guard holds there too: no task is enqueued again."""
    instance.region = REGIONS.get(instance.postcode[:1], "unknown")
    instance.save()
    logger.info("region %r saved", instance.region)


@receiver_task(post_save, sender=CatalogueEntry, batch=True)
def index_entries(sender: type[CatalogueEntry], events: list[Event], **kwargs: Any) -> None:
    """Put an import into the search index, in a worker: up to 1,000 rows in one task."""
    entries = [event.instance for event in events]
    IndexedEntry.objects.bulk_create(
        IndexedEntry(entry=entry, words=entry.title.lower()) for entry in entries
    )
    logger.info("%s entries", f"{len(entries):,}")


# DURABLE: True, but on a queue that runs tasks in the process that enqueues them.
@receiver_task(post_save, sender=Shipment, created=True, durable=settings.DURABLE)
def pack(sender: type[Shipment], instance: Shipment, **kwargs: Any) -> None:
    """Pack a parcel, in a worker: exactly one, whoever is killed meanwhile."""
    Parcel.objects.create(shipment=instance)
    logger.info("%s", instance)
    time.sleep(PACKING_TIME)


# Written in the wrong order on purpose: priority decides, and Django's own receivers count as 0.


@receiver(post_save, sender=Payment, priority=-10)
def print_receipt(sender: type[Payment], instance: Payment, **kwargs: Any) -> None:
    """Last: print what is booked."""
    logger.info("priority -10")


@dispatch.receiver(post_save, sender=Payment)
def book_payment(sender: type[Payment], instance: Payment, **kwargs: Any) -> None:
    """In between: a receiver of Django's own."""
    logger.info("Django's own receiver, counts as 0")


@receiver(post_save, sender=Payment, priority=10)
def check_amount(sender: type[Payment], instance: Payment, **kwargs: Any) -> None:
    """First: refuse what is no payment."""
    if instance.amount <= 0:
        raise ValueError(f"A payment of {instance.amount}")
    logger.info("priority 10")
