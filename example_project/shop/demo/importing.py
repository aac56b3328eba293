"""``manage.py demo --import``: as many rows as somebody likes, in one transaction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from shop.models import CatalogueEntry, IndexedEntry
from shop.services import import_catalogue

from . import memory
from .catalogue import BATCH, EACH_ONCE, sightings, titles
from .memory import MB
from .progress import Progress
from .rows import Row, runs
from .stage import SETTLE_TIMEOUT, Check, Stage
from .stopping import Stopping
from .timeline import Printer

# What a row may take until it is enqueued: its event, its part of a message, and fragmentation.
BYTES_PER_ROW = 600
# What the first rows take, however many follow: caches, the connection to the broker, ...
BYTES_AT_ONCE = 32 * MB

INDEX_TIMEOUT = 0.005  # seconds for each row


def play(printer: Printer, stage: Stage, amount: int) -> list[Check]:
    """Import a catalogue of so many rows, and follow them into the worker's index."""
    printer.heading(
        f"An import of {_many(amount, 'row')}, saved one by one in one transaction",
        "@receiver_task(post_save, sender=CatalogueEntry, batch=True) index_entries",
    )
    before = memory.now()
    stage.clear()
    with Progress(printer.out, "saved", amount) as saved:
        import_catalogue(_watched(titles(amount), saved, stage.worker.stopping))
    with Progress(printer.out, "indexed", amount) as indexed:
        rows = stage.settle(
            timeout=SETTLE_TIMEOUT + amount * INDEX_TIMEOUT,
            meanwhile=lambda: indexed.show(IndexedEntry.objects.count()),
        )
        indexed.show(IndexedEntry.objects.count())
    grown = max(0, memory.at_most() - before)
    _summarise(printer, rows, grown)
    return _checks(amount, rows, grown)


def _watched(titles: Iterable[str], saved: Progress, stopping: Stopping) -> Iterator[str]:
    """Show the progress each time that the import asks for one more."""
    for done, title in enumerate(titles):
        stopping.check()
        saved.show(done)
        yield title
    saved.show(saved.total)


def _summarise(printer: Printer, rows: list[Row], grown: int) -> None:
    last = {row.who: row.at for row in rows}
    spans = [
        ("BEGIN", "COMMIT", "to save the rows"),
        ("COMMIT", "index_entries", "from the commit to the last row in the index"),
    ]
    printer.line()
    for start, end, what in spans:
        if start in last and end in last:
            printer.line(f"   {last[end] - last[start]:>7.2f} s   {what}")
    printer.line(f"   {grown / MB:>7.1f} MB  more in the memory of this process, at the most")
    printer.line()


def _checks(amount: int, rows: list[Row], grown: int) -> list[Check]:
    messages = math.ceil(amount / BATCH)
    saved = (CatalogueEntry.objects.count(), runs("COMMIT", rows))
    return [
        Check(f"{_many(amount, 'row')} saved by 1 commit", (amount, 1), saved),
        Check(f"{_many(messages, 'message')} on the queue", messages, runs("enqueue", rows)),
        Check("the worker saw every row exactly once", EACH_ONCE, sightings()),
        _memory_check(amount, grown),
    ]


def _memory_check(amount: int, grown: int) -> Check:
    limit = BYTES_AT_ONCE + BYTES_PER_ROW * amount
    within = f"at most {limit / MB:.0f} MB"
    why = f"{BYTES_PER_ROW} bytes for each row and {BYTES_AT_ONCE / MB:.0f} MB"
    return Check(
        f"more memory: {within}, {why}",
        within,
        within if grown <= limit else f"{grown / MB:.0f} MB",
    )


def _many(amount: int, what: str) -> str:
    return f"{amount:,} {what}" if amount == 1 else f"{amount:,} {what}s"
