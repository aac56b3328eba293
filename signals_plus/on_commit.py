"""A receiver that waits for the commit and then runs in the same process."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.dispatch import Signal

from . import events, lineage, validation
from .commit import collect
from .connecting import BaseReceiver
from .options import OnCommitOptions

logger = logging.getLogger("signals_plus")


class OnCommitReceiver(BaseReceiver):
    """Capture each event when it is sent and call the function once it is committed."""

    options: OnCommitOptions

    def validate(self) -> None:
        super().validate()
        validation.check_deferrable(self.name, self.signals)
        validation.check_using(self.name, self.options.using)
        validation.check_choice(self.name, "robust", self.options.robust, (True, False))

    def dispatch(
        self, signal: Signal, sender: Any, kwargs: Mapping[str, Any], chain: lineage.Chain
    ) -> None:
        using = events.wait_alias(self.options.using, sender, kwargs)
        event = events.capture(signal, sender, kwargs, using=using, chain=chain)
        collect(self, event, using=using)

    def deliver(self, items: Sequence[events.Event]) -> None:
        for event in items:
            if self.options.robust:
                self._call_and_log(event)
            else:
                self._call(event)

    def _call(self, event: events.Event) -> None:
        with lineage.within(event.lineage):
            self.call(signal=event.signal, sender=event.sender, **event.kwargs)

    def _call_and_log(self, event: events.Event) -> None:
        try:
            self._call(event)
        except Exception:  # whatever it is, the work is committed and other receivers wait
            logger.exception(
                "Receiver %s failed after the commit on %r for %s. The commit stands and the "
                "next receivers run.",
                self.name,
                event.using,
                event.lineage[-1],
                extra={"receiver": self.name, "using": event.using},
            )
