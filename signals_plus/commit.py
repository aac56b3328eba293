"""Hold what was sent until the database that it concerns has committed.

# Note [One entry per event]
Each event is a plain ``transaction.on_commit`` entry that can deliver itself. Django alone then
decides what survives a savepoint, a rollback, a closed connection or a test's captured
callbacks, and in which order it runs. A collection of our own beside Django's list would have to
follow all of that; every such scheme we tried lost events in some program (a group opened before
a savepoint, before ``captureOnCommitCallbacks``, on a connection that was closed). What a token
holds is a list, and what it calls takes a list, so that tokens can be merged just before they run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from django.db import transaction

from .calling import outside_of_the_loop

ItemT = TypeVar("ItemT")
ItemT_contra = TypeVar("ItemT_contra", contravariant=True)


class Delivery(Protocol[ItemT_contra]):
    """Whoever takes what was held, in the order in which it was sent."""

    def deliver(self, items: Sequence[ItemT_contra]) -> None: ...


class Token(Generic[ItemT]):
    """The callback of one ``on_commit`` entry. It may be called twice: nested captures do."""

    __slots__ = ("delivery", "items")

    def __init__(self, delivery: Delivery[ItemT], items: list[ItemT]) -> None:
        self.delivery = delivery
        self.items = items

    def __call__(self) -> None:
        self.delivery.deliver(self.items)


def collect(delivery: Delivery[ItemT], item: ItemT, *, using: str) -> None:
    """Deliver the item once the transaction open on ``using`` has committed; at once if none is.

    Raises:
        TransactionManagementError: The connection is in manual transaction management
            (autocommit off, no ``atomic``), where Django cannot know when it commits.
    """
    # Through the module, and with nothing but using=: test suites replace it with a function of
    # their own that runs the callback at once.
    token = Token(delivery, [item])
    if os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        transaction.on_commit(token, using=using)
    else:
        # Where a loop runs, Django allows no connection, and so no transaction can be open.
        outside_of_the_loop(transaction.on_commit, token, using=using)
