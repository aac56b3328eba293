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
    """Note signals that would end this process while the block runs; ``check()`` raises them.

    Raised at once, they would be lost in a callback of the interpreter's or of SQLite's, and
    could leave a worker behind between its start and the block that ends it.
    """

    def __init__(self) -> None:
        self._received: list[int] = []

    def __enter__(self) -> Self:
        heard = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]  # nohup
        self._before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise ``Stopped`` if a signal has come."""
        if self._received:
            raise Stopped(self._received[0])

    def _note(self, number: int, _: FrameType | None) -> None:
        self._received.append(number)
