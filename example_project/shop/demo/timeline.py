"""What a person reads: a timeline for each scenario, and what was checked."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from .rows import Row
from .stage import Check

WIDTH = 100
COLUMNS = "{:>9}  {:>7}  {:<11} {:<12} {:<18} "
FOLDED = 3  # of one receiver's runs in a row, so many are shown

ENDED = {"BEGIN": "atomic 1", "COMMIT": "committed", "ROLLBACK": "rolled back"}

BOLD, DIM, STRUCK, RED, GREEN = "1", "2", "9", "31", "32"


def use_colour(out: Any) -> bool:
    """Tell whether the reader is a terminal that has not asked for plain text (no-color.org)."""
    return bool(out.isatty() and not os.environ.get("NO_COLOR"))


class Printer:
    """Write to a stream, in plain ASCII where the stream has no more."""

    def __init__(self, out: Any, *, colour: bool) -> None:
        self.out = out
        self.colour = colour
        self.yes, self.no, self.more = _symbols(getattr(out, "encoding", None))

    def line(self, text: str = "", *styles: str) -> None:
        if self.colour and styles:
            text = f"\033[{';'.join(styles)}m{text}\033[0m"
        self.out.write(f"{text}\n")
        self.out.flush()

    def heading(self, title: str, how: str) -> None:
        self.line()
        self.line(title, BOLD)
        self.line(f"   {how}", DIM)

    def rows(self, rows: Sequence[Row]) -> None:
        """Write a timeline: milliseconds since its first row, and where each thing happened."""
        self.line(COLUMNS.format("ms", "pid", "thread", "transaction", "what").rstrip(), DIM)
        for row, state, folded in _folded(_with_state(rows)):
            at = f"+{(row.at - rows[0].at) * 1000:.1f}"
            start = COLUMNS.format(at, row.pid, _thread(row), state, row.who)
            for line in _wrapped(start, row.text):
                self.line(line)
            if folded:
                self.line(
                    COLUMNS.format("", "", "", "", f"{self.more} {folded} more").rstrip(), DIM
                )

    def never(self, names: Iterable[str]) -> None:
        """Write what did not run."""
        for name in names:
            self.line(COLUMNS.format("", "", "", "", name) + "(never runs)", DIM)

    def check(self, check: Check) -> None:
        if check.holds:
            self.line(f"   {self.yes} {check.claim}", GREEN)
        else:
            self.line(f"   {self.no} {check.claim}", RED)
            self.line(f"       expected: {check.expected}", RED)
            self.line(f"       seen:     {check.seen}", RED)


def _with_state(rows: Iterable[Row]) -> Iterator[tuple[Row, str]]:
    """Say of each row what has become of the transaction in its own process and thread."""
    last: dict[tuple[int, str], str] = {}
    for row in rows:
        place = (row.pid, row.thread)
        if row.who in ENDED:
            last[place] = ENDED[row.who]
        yield row, f"atomic {row.depth}" if row.depth else last.get(place, "autocommit")


def _folded(rows: Iterable[tuple[Row, str]]) -> Iterator[tuple[Row, str, int]]:
    """Leave out all but the first of many runs, and say how many."""
    for _, group in groupby(rows, lambda each: (each[0].who, each[0].pid, each[0].thread)):
        runs = list(group)
        shown = runs if len(runs) <= FOLDED + 1 else runs[:FOLDED]
        for row, state in shown:
            yield row, state, len(runs) - len(shown) if row is shown[-1][0] else 0


def _wrapped(start: str, text: str) -> list[str]:
    indent = " " * len(start)
    lines = textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=indent)
    return lines or [start.rstrip()]


def _symbols(encoding: str | None) -> tuple[str, str, str]:
    symbols = ("✓", "✗", "…")
    try:
        "".join(symbols).encode(encoding or "ascii")
    except UnicodeEncodeError:
        return "ok", "FAILED", "..."
    return symbols


def _thread(row: Row) -> str:
    return "worker" if row.thread.startswith("signals_plus") else row.thread
