"""The scenarios, in the order in which they are played."""

from __future__ import annotations

import os
from contextlib import suppress

from django.db.models.signals import post_save

from shop.models import AuditLine, Customer, Order, Payment, Product, Review
from shop.services import CardDeclinedError, import_catalogue, mails_to, place_order
from signals_plus import mute_signals

from . import by_hand
from .catalogue import BATCH, EACH_ONCE, sightings, titles
from .killing import kill_both
from .rows import names, runs
from .stage import Check, Scenario, Stage, in_thread, only_by_hand


def mail_by_hand(stage: Stage) -> list[Check]:
    """A native receiver mails while nobody knows yet whether the order will stay."""
    email = "ann@example.com"
    with only_by_hand(by_hand.send_confirmation, Order), suppress(CardDeclinedError):
        place_order(_teapots(), 3, email, card="declined")
    rows = stage.settle()
    ran = "BEGIN, place_order, send_confirmation, place_order, ROLLBACK"
    return [
        Check("the mail went out inside the transaction", ran, names(rows)),
        Check("it is about an order that does not exist", (0, 0, 1), _left(email)),
    ]


def commit(stage: Stage) -> list[Check]:
    """One receiver for each decorator, and a commit."""
    email = "ben@example.com"
    product = _teapots()
    place_order(product, 3, email)
    rows = stage.settle()
    ran = "BEGIN, place_order, reserve_stock, COMMIT, write_audit_line, enqueue, send_confirmation"
    return [
        Check("each ran once, in this order", ran, names(rows)),
        Check("the mail was sent by the worker", "worker", stage.process_of("send_confirmation")),
        Check("1 order, 1 audit line, 1 mail", (1, 1, 1), _left(email)),
        Check("7 of 10 teapots are left", 7, _stock_of(product)),
    ]


def rollback(stage: Stage) -> list[Check]:
    """The same, and a rollback."""
    email = "cleo@example.com"
    product = _teapots()
    with suppress(CardDeclinedError):
        place_order(product, 3, email, card="declined")
    rows = stage.settle()
    ran = "BEGIN, place_order, reserve_stock, place_order, ROLLBACK"
    return [
        Check("nothing ran after the rollback", ran, names(rows)),
        Check("no order, no audit line, no mail", (0, 0, 0), _left(email)),
        Check("10 of 10 teapots are left", 10, _stock_of(product)),
    ]


def recursion_by_hand(stage: Stage) -> list[Check]:
    """A native receiver saves the row that it was called for."""
    with only_by_hand(by_hand.score_review, Review):
        Review.objects.create(text="a good teapot")
    rows = stage.settle()
    bound = by_hand.BOUND
    return [Check(f"{bound} runs for one review", bound, runs("score_review", rows))]


def recursion(stage: Stage) -> list[Check]:
    """The guard of ``@receiver`` ends that after one run."""
    review = Review.objects.create(text="a good teapot")
    rows = stage.settle()
    return [
        Check("1 run for one review", 1, runs("score_review", rows)),
        Check("its score is saved", 1, Review.objects.get(pk=review.pk).score),
    ]


def recursion_in_worker(stage: Stage) -> list[Check]:
    """The guard of ``@receiver_task`` does so across the broker."""
    customer = Customer.objects.create(postcode="31-415")
    rows = stage.settle(rounds=2)
    return [
        Check("1 task enqueued for one customer", 1, runs("enqueue", rows)),
        Check("1 run", 1, runs("find_region", rows)),
        Check("in the worker", "worker", stage.process_of("find_region")),
        Check("the region is saved", "south", Customer.objects.get(pk=customer.pk).region),
    ]


def priority(stage: Stage) -> list[Check]:
    """Priority decides on the order, whatever the order in the file."""
    Payment.objects.create(amount=30)
    ran = "check_amount, book_payment, print_receipt"
    return [Check("10 before 0 before -10", ran, names(stage.settle()))]


def mute_by_hand(stage: Stage) -> list[Check]:
    """A receiver that is disconnected is so for every thread."""
    old, new = _teapots(), _teapots()
    with only_by_hand(by_hand.reserve_stock, Order):
        post_save.disconnect(by_hand.reserve_stock, sender=Order)
        place_order(old, 1, "import@example.com")
        in_thread(place_order, new, 2, "dora@example.com")
        post_save.connect(by_hand.reserve_stock, sender=Order)
    stage.settle()
    return [
        Check("nothing is reserved for the imported order", 10, _stock_of(old)),
        Check("nor for the order of a customer in another thread", 10, _stock_of(new)),
    ]


def mute(stage: Stage) -> list[Check]:
    """A receiver that is muted is so for this thread alone."""
    old, new = _teapots(), _teapots()
    with mute_signals(post_save, senders=[Order]):
        place_order(old, 1, "archive@example.com")
        in_thread(place_order, new, 2, "emil@example.com")
    rows = stage.settle()
    ran = "BEGIN, place_order, COMMIT"
    imported = [row for row in rows if row.pid == os.getpid() and row.thread == "MainThread"]
    return [
        Check("no receiver ran for the imported order", ran, names(imported)),
        Check("it has no audit line and no mail", (1, 0, 0), _left("archive@example.com")),
        Check("the customer's order has both", (1, 1, 1), _left("emil@example.com")),
        Check("and its 2 of 10 teapots", 8, _stock_of(new)),
    ]


def batch(stage: Stage) -> list[Check]:
    """One message for a thousand rows. ``manage.py demo --import N`` has more of them."""
    import_catalogue(titles(3 * BATCH))
    rows = stage.settle()
    return [
        Check("3 messages for 3,000 rows", 3, runs("enqueue", rows)),
        Check("for the worker", "worker", stage.process_of("index_entries")),
        Check("which saw every row exactly once", EACH_ONCE, sightings()),
    ]


SCENARIOS = [
    Scenario(
        "By hand: an order is rolled back, its mail is not",
        "post_save.connect(send_confirmation, sender=Order)",
        mail_by_hand,
    ),
    Scenario(
        "An order is placed and committed",
        "@receiver reserve_stock, @receiver_on_commit write_audit_line, "
        "@receiver_task send_confirmation",
        commit,
    ),
    Scenario(
        "An order is rolled back",
        "the same receivers",
        rollback,
        never=("write_audit_line", "send_confirmation"),
    ),
    Scenario(
        f"By hand: a receiver saves its own row (this one gives up after {by_hand.BOUND} runs)",
        "post_save.connect(score_review, sender=Review)",
        recursion_by_hand,
    ),
    Scenario(
        "A receiver saves its own row",
        "@receiver(post_save, sender=Review)",
        recursion,
    ),
    Scenario(
        "A task saves its own row",
        "@receiver_task(post_save, sender=Customer)",
        recursion_in_worker,
    ),
    Scenario(
        "Three receivers run in order of priority",
        "@receiver(post_save, sender=Payment, priority=...), written in the wrong order",
        priority,
    ),
    Scenario(
        "By hand: an import disconnects the receiver, and another thread loses it too",
        "post_save.disconnect(reserve_stock, sender=Order)",
        mute_by_hand,
        never=("reserve_stock",),
    ),
    Scenario(
        "An import mutes the receivers, for itself alone",
        "with mute_signals(post_save, senders=[Order])",
        mute,
    ),
    Scenario(
        "An import of 3,000 rows makes 3 messages, not 3,000",
        "@receiver_task(post_save, sender=CatalogueEntry, batch=True) index_entries",
        batch,
    ),
    Scenario(
        "The worker and the relay are killed, and all is done once",
        "@receiver_task(post_save, sender=Shipment, durable=True) pack",
        kill_both,
        kills=True,
    ),
]


def _teapots() -> Product:
    return Product.objects.create(name="Teapot", stock=10)


def _stock_of(product: Product) -> int:
    return Product.objects.get(pk=product.pk).stock


def _left(email: str) -> tuple[int, int, int]:
    """Count the orders, audit lines and mails of a customer."""
    orders = Order.objects.filter(email=email).count()
    lines = AuditLine.objects.filter(text__startswith=email).count()
    return orders, lines, mails_to(email)
