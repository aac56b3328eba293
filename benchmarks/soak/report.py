"""What a soak has found, as JSON and as text, and what is wrong with it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from .ledger import Tally

NOTHING_LOST = ("durable", "ordered", "held")
NOTHING_TWICE = ("durable", "ordered")
CONTROLS = ("published", "plain")

# What a soak of this many seconds has to have seen.
LONG = 1200
EVENTS, KILLS, BROKER_KILLS = 20_000, 500, 15


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a soak has found."""

    seed: int
    seconds: int
    database: str
    machine: Mapping[str, str]
    kills: Mapping[str, int]
    pauses: Mapping[str, int]
    crashes: Mapping[str, int]
    drained_in: float
    left: Mapping[str, int]
    dead: int
    ghosts: int
    ways: Mapping[str, Tally]

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "problems": self.problems()}

    def problems(self) -> list[str]:
        """Return what must not be; nothing if all is well."""
        return [*self._broken_promises(), *self._faults(), *self._weaknesses()]

    def _broken_promises(self) -> Iterator[str]:
        for way in NOTHING_LOST:
            if lost := self.ways[way].lost:
                yield f"{way}: {lost} lost"
        for way in NOTHING_TWICE:
            if duplicates := self.ways[way].duplicates:
                yield f"{way}: {duplicates} duplicates"
        if disordered := self.ways["ordered"].disordered:
            yield f"ordered: {disordered} out of order"
        if self.ghosts:
            yield f"{self.ghosts} effects of what was rolled back"

    def _faults(self) -> Iterator[str]:
        if self.dead:
            yield f"{self.dead} messages are dead"
        if sum(self.left.values()):
            yield f"not drained: {_listed(self.left)}"
        for kind, count in self.crashes.items():
            if kind != "worker":  # that is Celery's
                yield f"{kind}: {count} ended by themselves"

    def _weaknesses(self) -> Iterator[str]:
        """Yield why the soak proves too little."""
        for way in CONTROLS:
            if not self.ways[way].lost:
                yield f"{way}: a control has lost nothing"
        if self.seconds < LONG:
            return
        for what, seen, wanted in (
            ("events", sum(self.ways[way].committed for way in NOTHING_LOST), EVENTS),
            ("kills", sum(self.kills.values()), KILLS),
            ("kills of the broker", self.kills["broker"], BROKER_KILLS),
        ):
            if seen < wanted:
                yield f"{seen} {what}, {wanted} wanted"


def described(report: Mapping[str, Any]) -> str:
    """Return the report, from its JSON, as text."""
    columns = ("committed", "executions", "lost", "begun", "duplicates", "disordered")
    lines = [
        f"seed {report['seed']}, {report['seconds']} s, {report['database']}",
        f"kill -9: {sum(report['kills'].values())} ({_listed(report['kills'])})",
        f"pauses: {sum(report['pauses'].values())} ({_listed(report['pauses'])})",
        f"workers that ended by themselves: {report['crashes'].get('worker', 0)}",
        f"drained in {report['drained_in']:.0f} s",
        "".join(("            ", *(f"{column:>12}" for column in columns))),
    ]
    for way, tally in report["ways"].items():
        cells = (tally["lost_begun" if each == "begun" else each] for each in columns)
        lines.append("".join((f"{way:12}", *(f"{cell:>12}" for cell in cells))))
    return "\n".join([*lines, *(f"PROBLEM: {each}" for each in report["problems"])])


def counted(counter: Counter[str]) -> dict[str, int]:
    """Return what was counted, without what never happened."""
    return {name: count for name, count in sorted(counter.items()) if count}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
