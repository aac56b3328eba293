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
    from .models import Left, Right

    with transaction.atomic():
        left = Left.objects.create()
        Right.objects.create(left=left)


def pair_again() -> None:
    from .models import Left

    Left.objects.get().save()


def rolled_back() -> None:
    with transaction.atomic():
        save("Page")
        transaction.set_rollback(True)


def many() -> None:
    from .models import Note

    with transaction.atomic():
        for _ in range(100):
            Note.objects.create()


def slow() -> None:
    from .models import Slow

    with transaction.atomic():
        for _ in range(10):
            Slow.objects.create()


def imported() -> None:
    from .models import Imported

    with transaction.atomic():
        for number in range(2500):
            Imported.objects.create(number=number)


def parcel() -> None:
    from .models import Label, Parcel
    from .receivers import Price, parcel_paid

    row = Parcel.objects.create(name="a")
    row.labels.add(Label.objects.create(pk=7, name="fragile"))
    parcel_paid.send(sender=Parcel, parcel=row, price=Price(Decimal("9.90"), "EUR"))


def parcel_gone() -> None:
    from .models import Parcel

    Parcel.objects.all().delete()


def gone() -> None:
    from .models import Gone

    with transaction.atomic():
        Gone.objects.create()
        Gone.objects.all().delete()


def described() -> None:
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


SCENARIOS: Mapping[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        migrate, pair, pair_again, rolled_back, many, slow, imported, parcel,
        parcel_gone, gone, described,
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
