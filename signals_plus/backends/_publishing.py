"""What backends have in common that reach their queue over a network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# A request waits for a silent broker in two steps: over the connection that there was, and over a
# new one. This is the part of publish_timeout that each has; the rest is for the request itself.
STEP = 0.48


class BrokerNotAskedError(Exception):
    """The broker failed just now, and is not asked again yet."""


class Turns:
    """Ask a broker that failed again after ``timeout`` seconds, in one thread at a time.

    A thousand events of one transaction wait once, and so do the threads of a server.
    ``is_failure`` tells a broker that does not answer from one that objects.
    """

    def __init__(self, timeout: float, is_failure: Callable[[Exception], bool]) -> None:
        self._timeout = timeout
        self._is_failure = is_failure
        self._turn = threading.Lock()
        self._ask_again_at: float | None = None

    def attempt(self, send: Callable[[], None]) -> Exception | None:
        """Return what sending raised, or that it is too early to try."""
        try:
            self._take_turn()
        except BrokerNotAskedError as error:
            return error
        failed = False
        try:
            send()
        except Exception as error:  # noqa: BLE001 - each transport has errors of its own
            failed = self._is_failure(error)
            return error
        finally:
            self._ask_again_at = time.monotonic() + self._timeout if failed else None
        return None

    def _take_turn(self) -> None:
        if self._ask_again_at is None:
            return
        with self._turn:
            now = time.monotonic()
            if self._ask_again_at is not None and now < self._ask_again_at:
                raise BrokerNotAskedError(
                    "it did not answer just now, and is not asked again for "
                    f"{self._timeout} s after a failure"
                )
            # The others go on without it until this attempt has ended, however it ends.
            self._ask_again_at = now + 10 * self._timeout
