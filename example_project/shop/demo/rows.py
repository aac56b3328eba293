"""The rows of the trace, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happened: ``at`` in seconds, ``depth`` the number of open atomic blocks."""

    at: float
    pid: int
    thread: str
    depth: int
    who: str
    text: str


class Trace:
    """The file that all processes of the demo append to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[Row]:
        """Return everything so far, in the order of time."""
        text = self.path.read_text() if self.path.exists() else ""
        complete = text[: text.rfind("\n") + 1]  # another process may be writing the last line
        return sorted((Row(**json.loads(line)) for line in complete.splitlines()), key=_at)


def names(rows: list[Row]) -> str:
    """Name what happened, in order."""
    return ", ".join(row.who for row in rows) or "nothing"


def runs(name: str, rows: list[Row]) -> int:
    """Count how often something happened."""
    return sum(row.who == name for row in rows)


def without_queue(rows: list[Row]) -> list[Row]:
    """Leave out transactions in which nothing happens: of a queue in the shop's database."""
    left: list[Row] = []
    last: dict[tuple[int, str], Row] = {}
    for row in rows:
        before = last.get((row.pid, row.thread))
        if before is not None and (before.who, row.who) == ("BEGIN", "COMMIT"):
            left.remove(before)
        else:
            left.append(row)
        last[row.pid, row.thread] = row
    return left


def _at(row: Row) -> float:
    return row.at
