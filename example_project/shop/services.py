"""What the shop does when somebody asks it to."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction

from .models import CatalogueEntry, Order, Product, Shipment

logger = logging.getLogger(__name__)


class CardDeclinedError(Exception):
    """The bank said no."""


def place_order(product: Product, quantity: int, email: str, *, card: str = "valid") -> Order:
    """Save an order and charge the card, both or neither.

    Raises:
        CardDeclinedError: The card is not valid. Nothing is saved.
    """
    with transaction.atomic():
        logger.info("%s x %s for %s", quantity, product, email)
        order = Order.objects.create(product=product, quantity=quantity, email=email)
        if card != "valid":
            logger.info("the card is declined")
            raise CardDeclinedError(card)
    return order


def import_catalogue(titles: Iterable[str]) -> None:
    """Save an entry for each title, all or none. They are taken one at a time."""
    with transaction.atomic():
        logger.info("reads the catalogue")
        for title in titles:
            CatalogueEntry.objects.create(title=title)


def ship(addresses: Iterable[str]) -> None:
    """Save a shipment for each address, all or none."""
    with transaction.atomic():
        logger.info("reads the addresses")
        for address in addresses:
            Shipment.objects.create(address=address)


def mail_confirmation(order: Order) -> None:
    """Tell the customer that the order is in our books."""
    send_mail("Your order", f"We have your {order}.", "shop@example.com", [order.email])


def mails_to(email: str) -> int:
    """Count the mails that have gone out to an address."""
    mails = settings.MAIL_FOLDER.glob("*.log")
    return sum(mail.read_text().count(f"To: {email}\n") for mail in mails)
