"""What cannot be used now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Set

from ..backends.base import Refused

logger = logging.getLogger("signals_plus")

# Seconds between two looks at what cannot be reached.
LONGEST_PAUSE = 5.0


class Outages:
    """What cannot be used now: one line in the log when that begins, and one when it ends.

    ``fails``, ``works``: what it does then.
    """

    def __init__(
        self,
        kind: str,
        clock: Callable[[], float],
        *,
        fails: str = "cannot be reached",
        works: str = "can be reached",
    ) -> None:
        self._kind = kind
        self._fails = fails
        self._works = works
        self._clock = clock
        self._since: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def __iter__(self) -> Iterator[str]:
        return (f"{self._kind} {alias!r}" for alias in self._failures)

    def __contains__(self, alias: str) -> bool:
        return alias in self._failures

    def is_pausing(self, alias: str) -> bool:
        return self._clock() < self._until.get(alias, 0)

    def note(self, alias: str, error: Exception) -> float:
        """Note a failure; return for how many seconds to leave it alone."""
        failures = self._failures.get(alias, 0)
        self._failures[alias] = failures + 1
        if not failures:
            self._since[alias] = self._clock()
            text = " ".join(str(error).split())  # those of databases have several lines
            logger.warning("%s %r %s, messages wait: %s", self._kind, alias, self._fails, text)
        # After hours no float could hold the power.
        pause = min(2.0 ** min(failures, 10) / 2, LONGEST_PAUSE)
        self._until[alias] = self._clock() + pause
        return pause

    def end(self, alias: str) -> None:
        if failures := self._failures.pop(alias, 0):
            del self._until[alias]
            logger.warning(
                "%s %r %s again, after %d failures in %.0f s",
                self._kind,
                alias,
                self._works,
                failures,
                self._clock() - self._since.pop(alias),
            )


class QueueOutages:
    """What takes no messages now: backends, or the queues of some receivers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._backends = Outages("Backend", clock)
        self._receivers = Outages("Queue of", clock, fails="refuses", works="accepts")

    def __iter__(self) -> Iterator[str]:
        yield from self._backends
        yield from self._receivers

    def is_pausing(self, alias: str, *, of: str) -> bool:
        """Tell whether to leave alone a backend, or the queue of a receiver there."""
        return self._backends.is_pausing(alias) or self._receivers.is_pausing(of)

    def note(self, alias: str, *, took: Set[str], refused: Mapping[str, Refused]) -> float:
        """Note for which receivers a backend took messages, and for which it refused some.

        Return for how many seconds to leave those alone.
        """
        if took or any(each.is_of_queue for each in refused.values()):
            self._backends.end(alias)
        # What was refused while others were taken says nothing of the broker.
        elif any(name not in self._receivers for name in refused):
            return self._backends.note(alias, next(iter(refused.values())).error)
        pause = 0.0
        for name, refusal in refused.items():
            if name in took:  # as much as it has room for
                logger.warning("Queue of %r did not take all: %s", name, refusal.error)
                pause = LONGEST_PAUSE
            else:
                pause = max(pause, self._receivers.note(name, refusal.error))
        for name in took:
            self._receivers.end(name)
        return pause
