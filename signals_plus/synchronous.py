"""A receiver that runs when its signal is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.dispatch import Signal

from . import lineage
from .connecting import BaseReceiver
from .events import row_alias


class SynchronousReceiver(BaseReceiver):
    """Call the function at once."""

    def dispatch(self, signal: Signal, sender: Any, kwargs: Mapping[str, Any]) -> Any:
        chain = lineage.extended(
            lineage.current(), self.guard_key, kwargs.get("instance"), row_alias(kwargs)
        )
        with lineage.within(chain):
            return self.call(signal=signal, sender=sender, **kwargs)
