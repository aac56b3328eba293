"""What cannot be reached now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

logger = logging.getLogger("signals_plus")

# Seconds between two looks at what cannot be reached.
LONGEST_PAUSE = 5.0


class Outages:
    """What cannot be reached now: one line in the log when that begins, and one when it ends."""

    def __init__(self, kind: str, clock: Callable[[], float]) -> None:
        self._kind = kind
        self._clock = clock
        self._since: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def __iter__(self) -> Iterator[str]:
        return (f"{self._kind} {alias!r}" for alias in self._failures)

    def is_pausing(self, alias: str) -> bool:
        return self._clock() < self._until.get(alias, 0)

    def note(self, alias: str, error: Exception) -> float:
        """Note a failure; return for how many seconds to leave it alone."""
        failures = self._failures.get(alias, 0)
        self._failures[alias] = failures + 1
        if not failures:
            self._since[alias] = self._clock()
            text = " ".join(str(error).split())  # those of databases have several lines
            logger.warning("%s %r cannot be reached, messages wait: %s", self._kind, alias, text)
        pause = min(2.0**failures / 2, LONGEST_PAUSE)
        self._until[alias] = self._clock() + pause
        return pause

    def end(self, alias: str) -> None:
        if failures := self._failures.pop(alias, 0):
            del self._until[alias]
            logger.warning(
                "%s %r can be reached again, after %d failures in %.0f s",
                self._kind,
                alias,
                failures,
                self._clock() - self._since.pop(alias),
            )
