"""The same things as projects write them without the package, faults included."""

from __future__ import annotations

import logging
from itertools import count
from typing import Any

from django.db.models import F

from shop import services
from shop.models import Order, Product, Review

logger = logging.getLogger(__name__)

# Without a bound it ends in a RecursionError.
BOUND = 25
_runs = count(1)


def send_confirmation(sender: type[Order], instance: Order, **kwargs: Any) -> None:
    """Mail from inside the transaction, whatever becomes of it."""
    services.mail_confirmation(instance)
    logger.info("mail to %s", instance.email)


def reserve_stock(sender: type[Order], instance: Order, **kwargs: Any) -> None:
    """Take the goods from the shelf."""
    product = Product.objects.filter(pk=instance.product_id)
    product.update(stock=F("stock") - instance.quantity)
    logger.info("%s left in stock", product.get().stock)


def score_review(sender: type[Review], instance: Review, **kwargs: Any) -> None:
    """Save the score into the row, which sends the signal again, which saves the row..."""
    run = next(_runs)
    logger.info("run number %s", run)
    if run < BOUND:
        instance.score = 1
        instance.save()
