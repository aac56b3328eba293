"""What a web process would save.

``python -m signals_plus.conformance.scenarios`` reads the names of scenarios, a line each, and
answers each with a line of JSON when it is done: how many seconds it took, or how it failed.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from decimal import Decimal

import django
from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.db.models.signals import post_save


def migrate() -> None:
    """Make the tables."""
    for alias in ("default", "other"):
        call_command("migrate", run_syncdb=True, database=alias, verbosity=0)


def save(model_name: str, using: str = "default", /, **values: object) -> None:
    """Save one row in a transaction of its own."""
    from django.apps import apps

    model = apps.get_model("signals_plus_conformance", model_name)
    with transaction.atomic(using=using):
        model._base_manager.using(using).create(**values)


def pair() -> None:
    """Save two rows in one transaction, of which the second belongs to the first."""
    from .models import Left, Right

    with transaction.atomic():
        left = Left.objects.create()
        Right.objects.create(left=left)


def pair_again() -> None:
    """Save the first of the pair once more."""
    from .models import Left

    Left.objects.get().save()


def rolled_back() -> None:
    """Save a row, and roll that back."""
    with transaction.atomic():
        save("Page")
        transaction.set_rollback(True)


def many() -> None:
    """Save more rows than two chunks have, in which a backend may hand messages over."""
    from .models import Note

    with transaction.atomic():
        for _ in range(250):
            Note.objects.create()


def slow() -> None:
    """Save rows whose tasks take a while."""
    from .models import Slow

    with transaction.atomic():
        for _ in range(10):
            Slow.objects.create()


def imported() -> None:
    """Save rows whose events go in batches: more than one has room for."""
    from .models import Imported

    with transaction.atomic():
        for number in range(2500):
            Imported.objects.create(number=number)


def parcel() -> None:
    """Send a signal of the project's own, with a row and a value of its own type."""
    from .models import Label, Parcel
    from .receivers import Price, parcel_paid

    row = Parcel.objects.create(name="a")
    row.labels.add(Label.objects.create(pk=7, name="fragile"))
    parcel_paid.send(sender=Parcel, parcel=row, price=Price(Decimal("9.90"), "EUR"))


def large() -> None:
    """Send one event that is nearly as large as one may be."""
    from .models import Parcel
    from .receivers import LARGE, parcel_described

    parcel_described.send(sender=Parcel, text=LARGE)


def parcel_gone() -> None:
    """Delete the rows that events have named."""
    from .models import Parcel

    Parcel.objects.all().delete()


def gone() -> None:
    """Save a row, and delete it in the same transaction."""
    from .models import Gone

    with transaction.atomic():
        Gone.objects.create()
        Gone.objects.all().delete()


def described() -> None:
    """Save a row of each kind in each database, and change one."""
    from .models import Described

    for using in settings.CONFORMANCE_ALIASES:
        for name in ("Described", "Child", "Proxy"):
            save(name, using, name="a")
        save("UuidRow", using, pk="12345678123456781234567812345678")
        save("CompositeRow", using, shop="a", number=5)
        save("Hidden", using)
    row = Described.objects.all()[0]
    row.name = "b"
    row.save(update_fields=["name"])


def unheard() -> None:
    """Save a row for a receiver that no other process has."""
    from ..receivers import receiver_task
    from .models import Unheard

    def hear(**kwargs: object) -> None:
        """Never run: the worker does not know it."""

    receiver_task(post_save, sender=Unheard, name="of the next release")(hear)
    save("Unheard")


def payment() -> None:
    """Save a row with a durable receiver in each database."""
    for using in settings.CONFORMANCE_ALIASES:
        save("Payment", using, name=using)


def payment_rolled_back() -> None:
    """Save three such rows: one stays, one goes with a savepoint, one with its transaction."""
    from .models import Payment

    with transaction.atomic():
        Payment.objects.create(name="kept")
        with transaction.atomic():
            Payment.objects.create(name="savepoint")
            transaction.set_rollback(True)
    with transaction.atomic():
        Payment.objects.create(name="transaction")
        transaction.set_rollback(True)


def payment_lost() -> None:
    """Save for a queue that takes what it is given, and forgets it."""
    from ..backends.dummy import DummyBackend
    from ..backends.handler import backends

    backends.stand_in = lambda alias: DummyBackend(alias, {"keep": False})
    try:
        save("Payment", name="lost")
    finally:
        backends.stand_in = None


def ledger() -> None:
    """Save rows whose durable events go in batches, and one that is rolled back."""
    from .models import Ledger

    with transaction.atomic():
        for number in range(2500):
            Ledger.objects.create(number=number)
        with transaction.atomic():
            Ledger.objects.create(number=-1)
            transaction.set_rollback(True)


def draft() -> None:
    """Save a row three times in one transaction, for one durable task."""
    from .models import Draft

    with transaction.atomic():
        row = Draft.objects.create(text="a")
        for row.text in ("b", "c"):
            row.save()


def steps() -> None:
    """Save rows whose durable tasks run one after the other."""
    from .models import Step

    for number in range(5):
        with transaction.atomic():
            Step.objects.create(number=number)


def make_due() -> None:
    """Let all waiting come to an end."""
    from django.db.models import F

    from ..outbox.models import Message

    for using in settings.CONFORMANCE_ALIASES:
        Message.objects.using(using).update(due_at=F("created_at"))


def relay() -> None:
    """Enqueue again what is not done."""
    from ..outbox.relay import Relay

    make_due()
    Relay(settings.CONFORMANCE_ALIASES).drain()


SCENARIOS: Mapping[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        migrate, pair, pair_again, rolled_back, many, slow, imported, parcel,
        parcel_gone, large, gone, described, payment, payment_rolled_back, payment_lost, ledger,
        draft, steps, unheard, make_due, relay,
    )
}  # fmt: skip


def play(name: str) -> None:
    """Play a scenario; any other name is that of a model, of which a row is saved."""
    SCENARIOS[name]() if name in SCENARIOS else save(name)


def main() -> None:
    """Play what is asked for, until there is no more."""
    django.setup()
    answers = sys.stdout
    sys.stdout = sys.stderr  # what receivers print is for the log
    for line in sys.stdin:
        started = time.monotonic()
        try:
            play(line.strip())
            answer = {"seconds": time.monotonic() - started}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
