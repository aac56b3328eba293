"""Commits that count, inside a test case too."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError

from .. import naming, observing
from . import transactions
from .helper import Helper, Scope, lock


class run_on_commit(Helper, observing.Watcher):  # noqa: N801 - used like a function
    """Run what waits for a commit when the outermost block of the code under test ends.

    Inside a ``TestCase``, or under pytest-django's ``db``, nothing ever commits. In this block it
    does, as far as callbacks are concerned: receivers on commit, tasks and everybody's own
    ``transaction.on_commit``, on every database, in production's order and not at all after a
    rollback. Where real transactions are committed it changes nothing but what follows.

    An error that production only logs, of a receiver with ``robust=True``, a callback with
    ``on_commit(robust=True)`` or a task that a backend runs in the process, is logged as well, the
    rest goes on as in production, and the block ends by raising it; several as an ExceptionGroup.

    Works as context manager, ``async with`` in coroutines, and decorator of functions, ``async
    def`` functions and test classes. What a callback does that was registered before the block is
    not its concern. A constraint that is checked at commit is checked at the end of each block.

    Args:
        robust: True: do not raise what production only logs.

    Raises:
        TransactionManagementError: The block begins inside ``atomic()``: its work would be
            committed after the end of the block. Or the test case begins its transaction inside
            the block, as in ``setUpClass``: nothing would run.

    Example::

        with run_on_commit():
            Order.objects.create()
    """

    described = "run_on_commit()"
    scope: Scope[run_on_commit] = Scope("signals_plus_run_on_commit")

    def __init__(self, *, robust: bool = False) -> None:
        super().__init__()
        self.robust = robust
        self.errors: list[BaseException] = []
        self._connections: list[BaseDatabaseWrapper] = []

    def _copy(self) -> run_on_commit:
        return run_on_commit(robust=self.robust)

    def _forget(self) -> None:
        self.errors = []

    def _begin(self) -> None:
        refuse_running_loop(f"{self.described} begins", f"async with {self.described}")
        refuse_transaction(
            f"{self.described} begins",
            "what waits for that commit would run after the block. Write atomic() inside "
            f"{self.described}",
        )
        here = [connections[alias] for alias in connections]
        observing.watch(self)
        for connection in here:
            transactions.emulate(connection)
        self._connections = here
        _listen(+1)

    def _end(self, error: BaseException | None) -> None:
        _listen(-1)
        for connection in self._connections:
            transactions.restore(connection)
        observing.unwatch(self)
        self.raise_errors(error)

    def failed(self, name: str, error: BaseException) -> None:
        if _innermost() is self:
            self.note(name, error)

    def note(self, who: str, error: BaseException) -> None:
        """Keep an error to be raised at the end of the block."""
        if not self.robust:
            error.add_note(
                f"Raised by {who} after the commit. Production logs this and goes on. "
                "run_on_commit(robust=True) does the same."
            )
            self.errors.append(error)

    def raise_errors(self, other: BaseException | None = None) -> None:
        """Raise what was kept; where another error is on its way already, note it there."""
        errors, self.errors = self.errors, []
        if not errors:
            return
        if other is not None:
            for error in errors:
                other.add_note(f"Before it, after a commit: {error!r}")
        elif len(errors) == 1:
            raise errors[0]
        else:
            raise BaseExceptionGroup("after the commit", errors)


def _innermost() -> run_on_commit | None:
    return next(reversed([*run_on_commit.scope]), None)


def refuse_transaction(what: str, why: str) -> None:
    """Refuse what would be inside ``atomic()`` of the code under test."""
    for alias in connections:
        if transactions.depth(connections[alias]):
            raise TransactionManagementError(f"{what} inside atomic() on {alias!r}: {why}.")


def refuse_running_loop(what: str, instead: str) -> None:
    """Refuse what would be in a coroutine."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        return  # as Django itself says
    raise TransactionManagementError(
        f"{what} in a coroutine, whose thread has no database connection. Write: {instead}."
    )


class _Listening:
    """Learns of what robust callbacks raise, on the connections of all threads."""

    blocks = 0
    #: What Django registers callbacks with during the blocks, and what it did before.
    ours: Any = None
    original: Any = BaseDatabaseWrapper.on_commit


def _listen(more_blocks: int) -> None:
    with lock:
        is_first = not _Listening.blocks
        _Listening.blocks += more_blocks
        if is_first:
            _Listening.original = BaseDatabaseWrapper.on_commit
            _Listening.ours = _heard(_Listening.original)
            BaseDatabaseWrapper.on_commit = _Listening.ours  # type: ignore[method-assign]
        elif not _Listening.blocks:
            ours, _Listening.ours = _Listening.ours, None
            # Else someone has put something of their own on top: what is below is idle.
            if BaseDatabaseWrapper.on_commit is ours:
                BaseDatabaseWrapper.on_commit = _Listening.original  # type: ignore[method-assign]


def _heard(original: Any) -> Any:
    def on_commit(
        connection: BaseDatabaseWrapper, func: Callable[[], object], robust: bool = False
    ) -> None:
        # Someone may keep what stood here, and put it back when the blocks are over.
        if _Listening.ours is on_commit:
            _refuse_what_never_runs(connection)
            func = _noted(func) if robust and callable(func) else func
        original(connection, func, robust)

    return on_commit


def _refuse_what_never_runs(connection: BaseDatabaseWrapper) -> None:
    # While commits count, the blocks of a test case are out of sight.
    if (block := _innermost()) and transactions.blocks_of_test_case(connection):
        raise TransactionManagementError(
            f"{block.described} began before the test's transaction on "
            f"{connection.alias!r}, so nothing would run. Begin it in setUp() or in the test "
            "itself; with pytest, ask for the database's fixture before it begins;"
            f" where Hypothesis begins one for each example, write @{block.described} below "
            "@given."
        )


def _noted(callback: Callable[[], object]) -> Callable[[], object]:
    @functools.wraps(callback)
    def noted() -> Any:
        try:
            return callback()
        except Exception as error:
            if helper := _innermost():
                helper.note(naming.dotted_name(callback), error)
            raise

    return noted
