"""What a scenario works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import connections, models
from django.db.models.signals import post_save

from shop import receivers
from signals_plus import mute_signals

from .receivers import MARK
from .rows import Row, without_queue
from .worker import Worker

T = TypeVar("T")

SETTLE_TIMEOUT = 10  # seconds
OURS = [
    receivers.reserve_stock,
    receivers.write_audit_line,
    receivers.send_confirmation,
    receivers.score_review,
]


@dataclass(frozen=True, slots=True)
class Check:
    """A sentence the demo says, and what it has to see for it to be true."""

    claim: str
    expected: Any
    seen: Any

    @property
    def holds(self) -> bool:
        return bool(self.expected == self.seen)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A thing to do and to look at.

    ``never`` names receivers that must not have run. ``kills``: there has to be a worker to kill.
    """

    title: str
    how: str
    play: Callable[[Stage], list[Check]]
    never: tuple[str, ...] = ()
    kills: bool = False


@dataclass
class Stage:
    """Let a scenario wait for the worker, and see what happened since it began."""

    worker: Worker
    rows: list[Row] = field(default_factory=list)
    _rows_before: int = 0

    def clear(self) -> None:
        """Leave what happened so far out of what is looked at."""
        self._rows_before = len(self.worker.trace.rows())
        self.rows = []

    def play(self, scenario: Scenario) -> list[Check]:
        """Play one scenario; its rows are in ``rows`` afterwards."""
        self.clear()
        checks = scenario.play(self)
        ran = [row.who for row in self.rows if row.who in scenario.never]
        if scenario.never:
            claim = f"{' and '.join(scenario.never)} never ran"
            checks.append(Check(claim, expected=[], seen=ran))
        return checks

    def settle(
        self,
        rounds: int = 1,
        *,
        timeout: float = SETTLE_TIMEOUT,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Row]:
        """Wait until the worker has run all tasks, and return the rows of this scenario.

        One round for the tasks enqueued so far, another for what these enqueued. ``timeout``:
        seconds, for each; ``meanwhile`` is called while there is nothing to do but wait.

        Raises:
            DemoError: The queue did not take a task, or the worker did not run it in time.
        """
        for _ in range(rounds):
            self.worker.catch_up(timeout, meanwhile)
        rows = without_queue(self.worker.trace.rows()[self._rows_before :])
        self.rows = [row for row in rows if MARK not in (row.who, row.text)]
        return self.rows

    def process_of(self, name: str) -> str:
        """Tell in which process something ran first."""
        where = [self.worker.ran(row) for row in self.rows if row.who == name]
        if not where:
            return "none"
        return "worker" if where[0] else "demo"


@contextmanager
def only_by_hand(receiver: Callable[..., Any], sender: type[models.Model]) -> Iterator[None]:
    """Connect a receiver by Django's own means, and keep those of signals_plus out of its way."""
    with mute_signals(post_save, receivers=OURS, all_threads=True):
        post_save.connect(receiver, sender=sender)
        try:
            yield
        finally:
            post_save.disconnect(receiver, sender=sender)


def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call the function in another thread, as another request would, and return its result."""

    def run() -> T:
        try:
            return function(*args)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkout") as pool:
        return pool.submit(run).result()
