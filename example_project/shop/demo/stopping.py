"""Leave all blocks in order when somebody ends the demo."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Self

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Somebody ended the demo: Ctrl-C, ``kill``, or the terminal was closed."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(number).name}.")
        self.returncode = 128 + number  # as shells report it


class Stopping:
    """Turn signals that would end this process into ``Stopped`` while the block runs."""

    def __init__(self) -> None:
        self._received: list[int] = []
        self._held = False

    def __enter__(self) -> Self:
        heard = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]  # nohup
        self._before = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """Raise nothing until ``release()``."""
        self._held = True

    def release(self) -> None:
        """Raise again, first of all what came meanwhile."""
        self._held = False
        self.check()

    def check(self) -> None:
        """Raise what was held, or was lost because it came inside a callback of SQLite's."""
        if self._received:
            raise Stopped(self._received[0])

    def ignore(self) -> None:
        """Hear nothing any more: what is still to be done must not be cut short."""
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._received.append(number)
        if not self._held:
            raise Stopped(number)
