"""What receivers did about a sending, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections

from ..commit import Token
from . import transactions

# What became of what was scheduled.
COMMITTED = "committed"
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

    def __init__(self, receiver: str, item: Any, using: str) -> None:
        super().__init__("waits for the commit", receiver)
        self.item = item
        self.using = using
        self.connection = connections[using]
        # What stands for it in the outbox, if anything does.
        self.written: Sequence[Any] = ()
        self.is_committed = False
        self.is_delivered = False

    def __str__(self) -> str:
        (outcome,) = outcomes_of([self])
        return f"{self.receiver}: scheduled for the commit on {self.using!r} -> {outcome}"


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
    if step.is_delivered:
        return COMMITTED
    if step.is_committed:
        return NOT_CALLED
    return WAITING if is_held else ROLLED_BACK
