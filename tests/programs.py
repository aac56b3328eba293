"""Random programs of events and transactions, run with our receivers and with plain ``on_commit``.

The oracle is what a user would write by hand: for each event and each receiver one
``transaction.on_commit``. Both run in the same program, on the same connections, side by side.
Receivers that batch are held against the same oracle: the same events, put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError
from django.dispatch import Signal
from django.test import TestCase
from hypothesis import strategies as st

from signals_plus import Event, receiver_on_commit
from signals_plus.testing import isolated_receivers
from tests.testapp.models import Item, Tag

ALIASES = ("default", "other")
RECEIVERS = ("first", "second")

sent = Signal()


class Boom(Exception):
    """What programs raise on purpose."""


EXPECTED = (Boom, DatabaseError, InterfaceError, TransactionManagementError)


class Source(NamedTuple):
    """Where an event came from."""

    transaction: object
    sender: object
    pk: int | None


@dataclass
class Run:
    """One run of a program: what was delivered to us and to the oracle, in order."""

    ours: list[tuple[str, str]] = field(default_factory=list)
    oracle: list[tuple[str, str]] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    batches: list[list[str]] = field(default_factory=list)
    coalesced: list[str] = field(default_factory=list)
    newest: dict[str, Tag] = field(default_factory=dict)
    # In which transaction each event was sent, by whom, and of which row.
    sources: dict[str, Source] = field(default_factory=dict)
    count: int = 0
    has_failed: bool = False  # part of it, where it was not meant to

    def next_name(self) -> str:
        self.count += 1
        return f"event {self.count}"

    @staticmethod
    def order(name: str) -> int:
        return int(name.split()[1])

    def delivered(self) -> list[str]:
        """Return what the oracle of one receiver was given."""
        return [name for who, name in self.oracle if who == RECEIVERS[0]]

    def expected_batches(self) -> list[list[str]]:
        """Return what the oracle was given, put together by transaction and sender."""
        batches: dict[object, list[str]] = {}
        for name in self.delivered():
            batches.setdefault(self.sources[name][:2], []).append(name)
        return [sorted(batch, key=self.order) for batch in batches.values()]

    def expected_when_coalesced(self) -> set[str]:
        """Return the last event of each row in each transaction, and every one without a row."""
        last: dict[object, str] = {}
        for name in sorted(self.delivered(), key=self.order):
            source = self.sources[name]
            last[name if source.pk is None else source] = name
        return set(last.values())


@dataclass(frozen=True)
class Save:
    """Insert a row: an event that has one."""

    alias: str

    def run(self, run: Run) -> None:
        name = run.next_name()
        run.rows.append((self.alias, name))
        run.newest[self.alias] = tag = Tag(name=name)
        tag.save(using=self.alias)


@dataclass(frozen=True)
class SaveAgain:
    """Save the newest row of the database again: a second event of one row."""

    alias: str

    def run(self, run: Run) -> None:
        if tag := run.newest.get(self.alias):
            tag.name = run.next_name()
            tag.save(using=self.alias)


@dataclass(frozen=True)
class Send:
    """Send a custom signal: an event that needs no working connection."""

    alias: str

    def run(self, run: Run) -> None:
        sent.send(sender=None, using=self.alias, name=run.next_name())


@dataclass(frozen=True)
class Orphan:
    """Insert a row whose parent is missing, which most databases find at the commit."""

    alias: str

    def run(self, run: Run) -> None:
        if connections[self.alias].in_atomic_block:
            Item(name=run.next_name(), parent_id=10_000_000).save(using=self.alias)


@dataclass(frozen=True)
class Duplicate:
    """Insert a row that is there already: a statement that fails in the midst of a transaction."""

    alias: str

    def run(self, run: Run) -> None:
        if connections[self.alias].in_atomic_block and (tag := run.newest.get(self.alias)):
            Tag(pk=tag.pk, name=run.next_name()).save(using=self.alias, force_insert=True)


@dataclass(frozen=True)
class Durable:
    """A block that has to be the outermost one."""

    alias: str
    body: list[Any]

    def run(self, run: Run) -> None:
        try:
            with transaction.atomic(using=self.alias, durable=True):
                run_all(self.body, run)
        except RuntimeError:
            run.has_failed = True


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
        except EXPECTED as error:
            run.has_failed = run.has_failed or not isinstance(error, Boom)


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

    def connect(who: str) -> None:
        def ours(**kwargs: Any) -> None:
            run.ours.append((who, name_of(kwargs)))

        def by_hand(using: str, **kwargs: Any) -> None:
            name = name_of(kwargs)
            pk = kwargs["instance"].pk if "instance" in kwargs else None
            run.sources[name] = Source(transaction_of(using), kwargs["sender"], pk)
            transaction.on_commit(lambda: run.oracle.append((who, name)), using=using)

        for signal, sender in ((post_save, Tag), (sent, None)):
            receiver_on_commit(signal, sender=sender)(ours)
            signal.connect(by_hand, sender=sender, weak=False)

    def batch(events: list[Event], **kwargs: Any) -> None:
        run.batches.append([name_of(event.kwargs) for event in events])

    def coalesced(**kwargs: Any) -> None:
        run.coalesced.append(name_of(kwargs))

    with isolated_receivers():
        for who in RECEIVERS:
            connect(who)
        receiver_on_commit([post_save, sent], batch=True)(batch)
        receiver_on_commit([post_save, sent], coalesce=True)(coalesced)
        yield run


def transaction_of(using: str) -> object:
    """Return what stands for the transaction that is open now; for none, an object of its own."""
    blocks = connections[using].atomic_blocks
    return blocks[0] if blocks else object()


def name_of(kwargs: Mapping[str, Any]) -> str:
    return str(kwargs["name"] if "name" in kwargs else kwargs["instance"].name)


def programs(
    *,
    closes: bool,
    captures: bool,
    raises: bool,
    saves_again: bool = True,
    violates: bool = False,
) -> st.SearchStrategy[list[Any]]:
    """Return programs of all operations or without some kinds: on one database, or on both."""
    return st.one_of(
        _programs(st.just("default"), False, captures, False, saves_again, violates),
        _programs(st.sampled_from(ALIASES), closes, captures, raises, saves_again, violates),
    )


def _programs(
    alias: st.SearchStrategy[str],
    closes: bool,
    captures: bool,
    raises: bool,
    saves_again: bool,
    violates: bool,
) -> st.SearchStrategy[list[Any]]:
    leaves: list[st.SearchStrategy[Any]] = [st.builds(Save, alias), st.builds(Send, alias)]
    if saves_again:
        leaves.append(st.builds(SaveAgain, alias))
    if violates:
        leaves += [st.builds(Orphan, alias), st.builds(Duplicate, alias)]
    if closes:
        leaves.append(st.builds(Close, alias))

    def block(body: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[Any]:
        ending = st.sampled_from(["commit", "commit", "raise", "set_rollback"])
        may_raise = st.booleans() if raises else st.just(False)
        kinds: list[st.SearchStrategy[Any]] = [
            st.builds(Atomic, alias, st.booleans(), ending, body),
            st.builds(ManualSavepoint, alias, st.booleans(), body),
            st.builds(Callback, alias, st.booleans(), may_raise, body),
        ]
        if violates:
            kinds.append(st.builds(Durable, alias, body))
        if captures:
            kinds.append(st.builds(Capture, alias, st.booleans(), body))
        return st.one_of(*kinds)

    body = st.lists(st.one_of(*leaves), min_size=1, max_size=3)
    for _ in range(3):
        body = st.lists(st.one_of(*leaves, block(body)), min_size=1, max_size=4)
    return body
