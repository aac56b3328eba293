"""A receiver that waits for the commit and then runs in the same process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from django.dispatch import Signal

from . import coalescing, events, lineage, observing, validation
from .commit import collect
from .deferred import DeferredReceiver, by_sender
from .events import Event

logger = logging.getLogger("signals_plus")

T = TypeVar("T", Event, list[Event])


class OnCommitReceiver(DeferredReceiver):
    """Capture each event when it is sent and call the function once it is committed."""

    def validate(self) -> None:
        super().validate()
        validation.check_choice(self.name, "robust", self.options.robust, (True, False))

    def dispatch(self, signal: Signal, sender: Any, kwargs: Mapping[str, Any]) -> None:
        using = events.wait_alias(self.options.using, sender, kwargs)
        event = events.capture(signal, sender, kwargs, using=using, chain=lineage.current())
        collect(self, event, using=using)

    def deliver(self, items: list[Event]) -> None:
        if self.options.coalesce:
            items = _coalesced(items)
        if self.options.batch:
            for batch in by_sender(items):
                self._run(self.call_for_batch, batch)
        else:
            for event in items:
                self._run(self.call_for, event)

    def _run(self, call: Callable[[T], None], what: T) -> None:
        if not self.options.robust:
            call(what)
            return
        try:
            call(what)
        except Exception as error:  # whatever it is, the work is committed and others wait
            observing.failed(self.name, error)
            failed = [what] if isinstance(what, Event) else what
            using = failed[0].using
            logger.exception(
                "Receiver %s failed after the commit on %r for %s. The commit stands and the "
                "next receivers run.",
                self.name,
                using,
                _shown(failed),
                extra={"receiver": self.name, "using": using},
            )


def _shown(failed: list[Event]) -> str:
    row = events.row_of(failed[0])
    first = row.key if row is not None else repr(failed[0].signal)
    return first if len(failed) == 1 else f"{len(failed)} events, the first of {first}"


def _coalesced(items: list[Event]) -> list[Event]:
    merged = coalescing.merge([coalescing.Change.of(each.signal, each.kwargs) for each in items])
    return [
        replace(items[index], kwargs={**items[index].kwargs, **changed})
        if changed
        else items[index]
        for index, changed in merged
    ]
