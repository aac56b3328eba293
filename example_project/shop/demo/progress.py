"""A line that says how far something is."""

from __future__ import annotations

import shutil
import time
from typing import Any, Self

from . import memory

REDRAWN = 0.1  # seconds from one look of the line to the next, on a terminal
PARTS = 10  # lines, where it is not a terminal


class Progress:
    """Rewrite one line on a terminal; write a line for each tenth into a file."""

    def __init__(self, out: Any, what: str, total: int) -> None:
        self.out = out
        self.what = what
        self.total = total
        self._in_place = out.isatty()
        self._start = time.monotonic()
        self._shown = 0
        self._shown_at = self._start

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._in_place and self._shown:
            self.out.write("\n")

    def show(self, done: int) -> None:
        """Say that so many rows are done, if it is time to."""
        now = time.monotonic()
        if self._is_due(done, now):
            self._shown, self._shown_at = done, now
            self._write(self._text(done, now - self._start))

    def _is_due(self, done: int, now: float) -> bool:
        if done == self._shown:
            return False
        if self._in_place and done < self.total:
            return now - self._shown_at >= REDRAWN
        return done * PARTS // self.total > self._shown * PARTS // self.total

    def _text(self, done: int, seconds: float) -> str:
        return (
            f"   {self.what:<8}{done:>11,} of {self.total:,}{done / seconds:>10,.0f} rows/s"
            f"   memory {memory.now() / memory.MB:.0f} MB"
        )

    def _write(self, text: str) -> None:
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1  # a full line would go over to the next
            self.out.write(f"\r{text[:width]:<{width}}", ending="")
        else:
            self.out.write(f"{text}\n")
        self.out.flush()
