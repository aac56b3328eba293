"""What receivers that wait for the commit have in common, wherever they run then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import lineage, validation
from .connecting import BaseReceiver
from .events import Event, row_alias, row_of


class DeferredReceiver(BaseReceiver):
    """Call the function for events that were sent earlier, under the chains that caused them."""

    overtakes = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.merges = self.options.batch or self.options.coalesce

    def validate(self) -> None:
        super().validate()
        validation.check_deferred(self.name, self.options, self.signals)

    def call_for(self, event: Event) -> None:
        """Call the function for one event."""
        chain = lineage.extended(
            event.chain, self.guard_key, event.instance, row_alias(event.kwargs)
        )
        with lineage.within(chain):
            self.call(signal=event.signal, sender=event.sender, **event.kwargs)

    def call_for_batch(self, batch: list[Event]) -> None:
        """Call the function once for events of one sender and one database."""
        chain = lineage.extended_by_batch(
            lineage.union(event.chain for event in batch), self.guard_key, map(row_of, batch)
        )
        with lineage.within(chain):
            self.call(sender=batch[0].sender, events=batch, using=batch[0].using)


def by_sender(events: Iterable[Event]) -> list[list[Event]]:
    """Return a batch for each sender, in the order in which they were sent."""
    batches: dict[Any, list[Event]] = {}
    for event in events:
        # By identity: a sender may be any object, hashable or not.
        batches.setdefault(id(event.sender), []).append(event)
    return list(batches.values())
