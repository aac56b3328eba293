"""Hold what was sent until the database that it concerns has committed.

# Note [Tokens]
What waits for a commit waits in *tokens*: plain ``transaction.on_commit`` entries, each able to
deliver what it holds. Django alone decides what survives a savepoint, a rollback, a closed
connection or a test's captured callbacks. A collection of our own beside Django's list would have
to follow all of that; every such scheme that was tried lost events in some program (a group opened
before a savepoint, before ``captureOnCommitCallbacks``, on a connection that was closed).

- *Joining.* An event joins the token at the end of Django's list if both have the same savepoints
  around them: they share one fate, and nothing came in between. So the list stays short, and
  with it a rollback to a savepoint. Django runs its list by taking from the front, which is
  quadratic: a short list is of no consequence, a long one of a hundred thousand entries is.
- *Merging.* Right before Django commits, what survived is put together: neighbours become one
  token, all items of a delivery that ``merges`` go to where its first one stands, and of what goes
  to several queues (what ``overtakes``) each gets its part together. Without this hook there would
  be more deliveries, never fewer events.
- *Writing.* Then a ``Writer`` makes rows of its items, all together, within the transaction that
  is about to commit. Where no commit comes (in a test case), it has to make them when it delivers.
- *In tests.* A test that captures callbacks looks at Django's list by index, and no commit runs
  it. There each event is a token of its own, and the first of a delivery that ``merges`` takes the
  items of those behind it along. The first ``JOIN_FROM`` entries of a transaction are never joined,
  so that a capture in the midst of a real transaction works as well.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from django.db import Error, connections, transaction

from .calling import outside_of_the_loop
from .observing import watching

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

ItemT = TypeVar("ItemT")

JOIN_FROM = 20

# The attribute of a connection that has the hook.
_HOOKED = "_signals_plus_merges_before_commit"


class Delivery(Protocol[ItemT]):
    """Whoever takes what was held, in the order in which it was sent."""

    @property
    def merges(self) -> bool:
        """Whether all items of one commit are delivered in one call."""

    @property
    def overtakes(self) -> bool:
        """Whether no order is kept between its items and those of others that say so too."""

    def deliver(self, items: list[ItemT]) -> None: ...


Run = tuple[Delivery[Any], list[Any]]


class Writer(ABC):
    """A delivery that leaves rows of its items in the database, in the same transaction."""

    @abstractmethod
    def write(self, items: list[Any]) -> Run:
        """Write them; return who is to be given what, once that has committed.

        Items that are written already may be among them. What it raises rolls the transaction back.
        """


class Token:
    """The callback of one ``on_commit`` entry. It may be called twice: nested captures do."""

    __slots__ = ("merging", "runs", "taken", "using")

    def __init__(self, using: str) -> None:
        self.using = using
        # Who is to be given what, in order; and the lists in it that still take later items.
        self.runs: list[Run] = []
        self.merging: dict[Delivery[Any], list[Any]] = {}
        self.taken: set[Delivery[Any]] = set()

    def __call__(self) -> None:
        taken, self.taken = self.taken, set()
        runs = [(delivery, [*items]) for delivery, items in self.runs if delivery not in taken]
        for delivery, items in runs:
            if delivery.merges:
                for token in self._behind():
                    items += token.give(delivery)
        for delivery, items in runs:
            for watcher in watching.watchers:
                watcher.delivered(items)
            delivery.deliver(items)

    def add(self, delivery: Delivery[ItemT], item: ItemT) -> None:
        """Hold one more item behind those that are held."""
        items = self._list_for(delivery)
        if items is None:
            self._begin(delivery, [item])
        else:
            items.append(item)

    def absorb(self, other: Token, merging: dict[Delivery[Any], list[Any]]) -> None:
        """Take over what another token holds; ``merging``: the lists of earlier tokens."""
        for delivery, items in other.runs:
            earlier = merging.get(delivery) or self._list_for(delivery)
            if earlier is None:
                self._begin(delivery, [*items])
            else:
                earlier += items
        merging |= self.merging

    def give(self, delivery: Delivery[ItemT]) -> list[ItemT]:
        """Hand the items of a delivery that merges to a token that is called earlier."""
        items = self.merging.get(delivery, [])
        if items:
            self.taken.add(delivery)
        return items

    def write(self) -> None:
        """Let the writers among the deliveries make rows of what they hold."""
        if any(isinstance(delivery, Writer) for delivery, _ in self.runs):
            self.runs = [_written(delivery, items) for delivery, items in self.runs]
            self.merging = {delivery: items for delivery, items in self.runs if delivery.merges}

    def _list_for(self, delivery: Delivery[Any]) -> list[Any] | None:
        if delivery.merges:
            return self.merging.get(delivery)
        for earlier, items in reversed(self.runs):
            if earlier is delivery:
                return items
            if not (earlier.overtakes and delivery.overtakes):
                return None
        return None

    def _begin(self, delivery: Delivery[Any], items: list[Any]) -> None:
        self.runs.append((delivery, items))
        if delivery.merges:
            self.merging[delivery] = items

    def _behind(self) -> Iterable[Token]:
        """Return the tokens that will be called after this one, where no commit runs them."""
        tokens = [entry[1] for entry in connections[self.using].run_on_commit]
        behind = tokens[tokens.index(self) + 1 :] if self in tokens else []
        return [token for token in behind if isinstance(token, Token)]


def _written(delivery: Delivery[Any], items: list[Any]) -> Run:
    if not isinstance(delivery, Writer):
        return delivery, items
    run = delivery.write(items)
    for watcher in watching.watchers:
        watcher.replaced(items, run[1])
    return run


def collect(delivery: Delivery[ItemT], item: ItemT, *, using: str) -> None:
    """Deliver the item once the transaction open on ``using`` has committed; at once if none is.

    Raises:
        TransactionManagementError: The connection is in manual transaction management
            (autocommit off, no ``atomic``), where Django cannot know when it commits.
    """
    for watcher in watching.watchers:
        watcher.scheduled(delivery, item, using)
    connection = connections[using]
    if token := _joinable(connection):
        token.add(delivery, item)
        return
    token = Token(using)
    token.add(delivery, item)
    # Through the module, and with nothing but using=: test suites replace it with a function of
    # their own that runs the callback at once.
    if connection.in_atomic_block:
        _prepare_before_commit(connection)
        transaction.on_commit(token, using=using)
    elif os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        transaction.on_commit(token, using=using)
    else:
        # Where a loop runs, Django allows no connection, and so no transaction can be open.
        outside_of_the_loop(transaction.on_commit, token, using=using)


def _joinable(connection: BaseDatabaseWrapper) -> Token | None:
    entries: list[Any] = connection.run_on_commit
    if len(entries) < JOIN_FROM or not connection.in_atomic_block:
        return None
    savepoints, token, _ = entries[-1]
    if type(token) is not Token or savepoints != set(connection.savepoint_ids):
        return None
    return None if is_in_a_test_case(connection) else token


def is_in_a_test_case(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a transaction is open that a test case will roll back."""
    return any(block._from_testcase for block in connection.atomic_blocks)  # type: ignore[attr-defined]


def _prepare_before_commit(connection: BaseDatabaseWrapper) -> None:
    """Hook into the connection. Once: it lives as long as its thread."""
    if _HOOKED in vars(connection):
        return
    commit = connection.commit

    def prepare_and_commit() -> None:
        held: list[list[Any]] = []
        if not connection.in_atomic_block:  # where Django refuses to commit
            connection.run_on_commit = _merged(connection.run_on_commit)
            if watching.watchers:
                held = [items for token in _tokens(connection) for _, items in token.runs]
            _write(connection)
        commit()
        for watcher in watching.watchers:
            for items in held:
                watcher.committed(items)

    connection.commit = prepare_and_commit  # type: ignore[method-assign]
    setattr(connection, _HOOKED, True)


def _tokens(connection: BaseDatabaseWrapper) -> list[Token]:
    callbacks: list[Any] = [entry[1] for entry in connection.run_on_commit]
    return [each for each in callbacks if type(each) is Token]


def _write(connection: BaseDatabaseWrapper) -> None:
    try:
        for token in _tokens(connection):
            token.write()
    except BaseException:
        # Django rolls back for errors of the database alone. With any other it would go back to
        # autocommit with the transaction open, and that commits.
        try:
            connection.rollback()
        except Error:  # as Django: the connection is gone, and the next one is a new one
            connection.close()
        raise


def _merged(entries: list[Any]) -> list[Any]:
    merged: list[Any] = []
    merging: dict[Delivery[Any], list[Any]] = {}
    for entry in entries:
        token = entry[1]
        if type(token) is not Token:
            merged.append(entry)
            continue
        if not (merged and type(merged[-1][1]) is Token):
            merged.append((set(), Token(token.using), False))
        merged[-1][1].absorb(token, merging)
    return merged
