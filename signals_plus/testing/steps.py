"""What receivers did about a sending, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections

from ..coalescing import Change, merge
from ..commit import Token
from . import transactions

# What became of what was scheduled.
COMMITTED = "committed"
COALESCED = "committed, and coalesced to nothing"
NOT_CALLED = "committed, and not called"
WAITING = "still waiting"
ROLLED_BACK = "rolled back"


class Step:
    """What one receiver did about one sending."""

    def __init__(self, text: str, receiver: str) -> None:
        self.text = text
        self.receiver = receiver

    def __str__(self) -> str:
        return f"{self.receiver}: {self.text}"


class Scheduled(Step):
    """Something that waits for a commit, and what became of it."""

    def __init__(self, receiver: str, item: Any, using: str, change: Change | None) -> None:
        super().__init__("waits for the commit", receiver)
        # What coalesce=True makes of it; None without.
        self.change = change
        self.item = item
        self.using = using
        self.connection = connections[using]
        # What stands for it in the outbox, if anything does.
        self.written: Sequence[Any] = ()
        self.is_committed = False
        self.is_delivered = False
        self.comes_to_nothing = False

    def __str__(self) -> str:
        (outcome,) = outcomes_of([self])
        return f"{self.receiver}: scheduled for the commit on {self.using!r} -> {outcome}"


def coalesce(steps: Sequence[Scheduled]) -> None:
    """Note which of those that one commit delivers together come to nothing."""
    changes = [step.change for step in steps if step.change is not None]
    left = {row.key for index, _ in merge(changes) if (row := changes[index].row) is not None}
    for step in steps:
        row = step.change.row if step.change is not None else None
        step.comes_to_nothing = row is not None and row.key not in left


def outcomes_of(steps: Sequence[Scheduled]) -> set[str]:
    """Return what became of them."""
    held = {
        id(item)
        for connection in {step.connection for step in steps if not step.is_delivered}
        for _, token, _ in transactions.waiting_entries(connection)
        if isinstance(token, Token)
        for _, items in token.runs
        for item in items
    }
    return {_outcome(step, is_held=id(step.item) in held) for step in steps}


def _outcome(step: Scheduled, *, is_held: bool) -> str:
    if step.comes_to_nothing and (step.is_committed or step.is_delivered):
        return COALESCED
    if step.is_delivered:
        return COMMITTED
    if step.is_committed:
        return NOT_CALLED
    return WAITING if is_held else ROLLED_BACK
