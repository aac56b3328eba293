"""Random programs of events and transactions, run with two receivers and with plain ``on_commit``.

The oracle is what a user would write by hand: for each event and each receiver one
``transaction.on_commit``. Both run in the same program, on the same connections, side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError
from django.dispatch import Signal
from django.test import TestCase
from hypothesis import strategies as st

from signals_plus import receiver_on_commit
from tests.testapp.models import Tag

ALIASES = ("default", "other")
RECEIVERS = ("first", "second")

sent = Signal()


class Boom(Exception):
    """What programs raise on purpose."""


EXPECTED = (Boom, DatabaseError, InterfaceError, TransactionManagementError)


@dataclass
class Run:
    """One run of a program: what was delivered to us and to the oracle, in order."""

    ours: list[tuple[str, str]] = field(default_factory=list)
    oracle: list[tuple[str, str]] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0

    def next_name(self) -> str:
        self.count += 1
        return f"event {self.count}"


@dataclass(frozen=True)
class Save:
    """Insert a row: an event that has one."""

    alias: str

    def run(self, run: Run) -> None:
        name = run.next_name()
        run.rows.append((self.alias, name))
        Tag(name=name).save(using=self.alias)


@dataclass(frozen=True)
class Send:
    """Send a custom signal: an event that needs no working connection."""

    alias: str

    def run(self, run: Run) -> None:
        sent.send(sender=None, using=self.alias, name=run.next_name())


@dataclass(frozen=True)
class Atomic:
    """A transaction or a savepoint, or neither (``savepoint=False``)."""

    alias: str
    savepoint: bool
    ending: str
    body: list[Any]

    def run(self, run: Run) -> None:
        try:
            with transaction.atomic(using=self.alias, savepoint=self.savepoint):
                run_all(self.body, run)
                if self.ending == "set_rollback":
                    transaction.set_rollback(True, using=self.alias)
                if self.ending == "raise":
                    raise Boom
        except EXPECTED:
            pass


@dataclass(frozen=True)
class ManualSavepoint:
    """A savepoint that Django's own list of callbacks does not know of."""

    alias: str
    rolls_back: bool
    body: list[Any]

    def run(self, run: Run) -> None:
        if not connections[self.alias].in_atomic_block:
            return
        savepoint = connections[self.alias].savepoint()
        assert savepoint is not None
        run_all(self.body, run)
        if self.rolls_back:
            transaction.savepoint_rollback(savepoint, using=self.alias)
        else:
            transaction.savepoint_commit(savepoint, using=self.alias)


@dataclass(frozen=True)
class Callback:
    """Somebody else's ``on_commit``, which may send events itself, or raise."""

    alias: str
    robust: bool
    raises: bool
    body: list[Any]

    def run(self, run: Run) -> None:
        def callback() -> None:
            run_all(self.body, run)
            if self.raises:
                raise Boom

        transaction.on_commit(callback, using=self.alias, robust=self.robust)


@dataclass(frozen=True)
class Close:
    """The connection is lost."""

    alias: str

    def run(self, run: Run) -> None:
        connections[self.alias].close()


@dataclass(frozen=True)
class Capture:
    """A test looks at the callbacks, and may run them."""

    alias: str
    executes: bool
    body: list[Any]

    def run(self, run: Run) -> None:
        with TestCase.captureOnCommitCallbacks(using=self.alias, execute=self.executes):
            run_all(self.body, run)


def run_all(body: list[Any], run: Run) -> None:
    for operation in body:
        operation.run(run)


@contextmanager
def observed() -> Iterator[Run]:
    """Connect the receivers and the oracle for one run."""
    run = Run()
    connected: list[Any] = []

    def connect(who: str) -> None:
        def ours(**kwargs: Any) -> None:
            run.ours.append((who, name_of(kwargs)))

        def by_hand(using: str, **kwargs: Any) -> None:
            name = name_of(kwargs)
            transaction.on_commit(lambda: run.oracle.append((who, name)), using=using)

        for signal, sender in ((post_save, Tag), (sent, None)):
            receiver_on_commit(signal, sender=sender)(ours)
            signal.connect(by_hand, sender=sender, weak=False)
        connected.extend([ours, by_hand])

    for who in RECEIVERS:
        connect(who)
    try:
        yield run
    finally:
        for function in connected:
            post_save.disconnect(function, sender=Tag)
            sent.disconnect(function)


def name_of(kwargs: dict[str, Any]) -> str:
    return str(kwargs["name"] if "name" in kwargs else kwargs["instance"].name)


def programs(*, closes: bool, captures: bool, raises: bool) -> st.SearchStrategy[list[Any]]:
    """Return programs, of all operations or without some kinds."""
    alias = st.sampled_from(ALIASES)
    leaves = [st.builds(Save, alias), st.builds(Send, alias)]
    if closes:
        leaves.append(st.builds(Close, alias))

    def blocks(body: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[list[Any]]:
        kinds: list[st.SearchStrategy[Any]] = [
            st.builds(
                Atomic,
                alias,
                st.booleans(),
                st.sampled_from(["commit", "commit", "raise", "set_rollback"]),
                body,
            ),
            st.builds(ManualSavepoint, alias, st.booleans(), body),
            st.builds(
                Callback, alias, st.booleans(), st.booleans() if raises else st.just(False), body
            ),
        ]
        if captures:
            kinds.append(st.builds(Capture, alias, st.booleans(), body))
        return st.lists(st.one_of(*leaves, *kinds), max_size=4)

    return st.recursive(st.lists(st.one_of(*leaves), max_size=4), blocks, max_leaves=12)
