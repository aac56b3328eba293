"""A catalogue to import, and what has become of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.models import Count

from shop.models import CatalogueEntry, IndexedEntry

BATCH = 1_000  # rows to a message: the default of batch_size
EACH_ONCE = "each row once"

THINGS = ("Teapot", "Teacup", "Saucer", "Sugar bowl", "Milk jug", "Strainer", "Tea cosy")
NAMED = 5  # of the entries that went wrong, so many are named


def titles(amount: int) -> Iterator[str]:
    """Make up the titles of a catalogue, one at a time."""
    for number in range(amount):
        yield f"{THINGS[number % len(THINGS)]} no. {number}"


def sightings() -> str:
    """Say how often the worker saw what is in the catalogue.

    The database knows: the worker writes a row for each entry that it is given. The answer is
    ``EACH_ONCE``, or names the entries that it saw never or more than once.
    """
    entries = CatalogueEntry.objects.order_by("pk").values_list("pk", flat=True)
    repeated = IndexedEntry.objects.values("entry").annotate(times=Count("pk")).filter(times__gt=1)
    wrong = {
        "never": list(entries.filter(indexed=None)),
        "more than once": list(entries.filter(pk__in=repeated.values("entry"))),
    }
    return "; ".join(f"{how}: {_named(pks)}" for how, pks in wrong.items() if pks) or EACH_ONCE


def _named(pks: Sequence[int]) -> str:
    first = ", ".join(map(str, pks[:NAMED]))
    more = len(pks) - NAMED
    return f"{first} and {more:,} more" if more > 0 else first
