"""Transactions inside the transaction of a test case.

# Note [Emulated autocommit]
A ``TestCase`` runs each test in a transaction, so an outermost ``atomic()`` of the code under test
is a savepoint, and nothing commits. To run callbacks "where the outermost block ends", one could
count blocks and slice Django's list of callbacks; every such scheme differs from production
somewhere: a callback registered outside of ``atomic()``, one that opens a transaction of its own,
``atomic(savepoint=False)``, ``set_rollback``, ``durable=True``.

Here the connection is told instead that it is in autocommit mode. Django then does what it does in
production, all of it, with its own code. Only the last step is another one: where it would begin,
commit or roll back a transaction, a savepoint of the test's transaction begins, is released or
rolled back. The test case gets its state back afterwards.

What a savepoint cannot do stays different from production: on PostgreSQL a statement that fails
outside of ``atomic()`` spoils the test's transaction, and other connections see nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import debug_transaction

SAVEPOINT = "signals_plus_testing"

# What Django keeps of a transaction, and what it is where none is open.
_NO_TRANSACTION = {
    "autocommit": True,
    "in_atomic_block": False,
    "needs_rollback": False,
    "commit_on_exit": True,
    "closed_in_transaction": False,
    "run_commit_hooks_on_set_autocommit_on": False,
}
_LISTS = ("savepoint_ids", "atomic_blocks", "run_on_commit")

# Constraints of PostgreSQL that may be put off, and are not unless somebody says so.
_CHECKED_AT_ONCE = """
    SELECT nspname, conname
    FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace
    WHERE condeferrable AND NOT condeferred
"""

_EMULATED = "_signals_plus_emulated"


def blocks_of_test_case(connection: BaseDatabaseWrapper) -> int:
    """Count the atomic blocks up to the innermost that belongs to a test case."""
    blocks = connection.atomic_blocks
    ours = [index for index, each in enumerate(blocks) if getattr(each, "_from_testcase", False)]
    return ours[-1] + 1 if ours else 0


def depth(connection: BaseDatabaseWrapper) -> int:
    """Count the atomic blocks that are open, those of a test case left out."""
    return len(connection.atomic_blocks) - blocks_of_test_case(connection)


def waiting_entries(connection: BaseDatabaseWrapper) -> list[Any]:
    """Return all callbacks that wait for a commit, those that wait in a test case for ever too."""
    emulated = vars(connection).get(_EMULATED)
    aside = [] if emulated is None else emulated.saved["run_on_commit"]
    return [*aside, *connection.run_on_commit]


def is_emulated(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the connection runs callbacks although it is inside a test's transaction."""
    return _EMULATED in vars(connection)


@contextmanager
def unseen(connection: Any) -> Iterator[None]:
    """Hide queries from who wraps, counts or logs those of the test."""
    hidden = {"execute_wrappers": [], "make_debug_cursor": connection.make_cursor}
    previous = _replaced(connection, hidden)
    try:
        yield
    finally:
        _put_back(connection, previous)


def emulate(connection: BaseDatabaseWrapper) -> None:
    """Let commits of a connection inside a test case count, until ``restore``. It nests."""
    if is_emulated(connection):
        vars(connection)[_EMULATED].users += 1
    elif blocks_of_test_case(connection):
        setattr(connection, _EMULATED, _Emulated(connection))


def restore(connection: BaseDatabaseWrapper) -> None:
    """Give the connection back to the test case, at the end of its transaction if one is open."""
    emulated: _Emulated | None = vars(connection).get(_EMULATED)
    if emulated is not None:
        emulated.users -= 1
        emulated.restore_if_unused()


class _Blocks(list[Any]):
    """The atomic blocks of an emulated connection, none of them a test case's."""

    def __init__(self, emulated: _Emulated) -> None:
        super().__init__()
        self.emulated = emulated

    def append(self, block: Any) -> None:
        if getattr(block, "_from_testcase", False):
            self.emulated.give_way(block)
        else:
            super().append(block)


class _Emulated:
    """A connection that is in autocommit mode as far as Django can tell."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection: Any = connection
        self.users = 1
        self.is_open = False
        self.real = self.connection.connection
        state = vars(connection)
        self.saved = {name: state[name] for name in (*_NO_TRANSACTION, *_LISTS)}
        state.update(_NO_TRANSACTION, **{name: [] for name in _LISTS})
        state["atomic_blocks"] = _Blocks(self)
        replaced: dict[str, Any] = {
            "set_autocommit": self.set_autocommit,
            "_set_autocommit": self._set_autocommit,
            "_start_transaction_under_autocommit": self.begin,
            "_commit": self.commit,
            "_rollback": self.rollback,
            "_close": self.close,
            "get_new_connection": self.get_new_connection,
        }
        self.previous = _replaced(connection, replaced)

    def restore_if_unused(self) -> None:
        if self.users > 0 or self.connection.in_atomic_block:
            return
        state = vars(self.connection)
        _put_back(self.connection, self.previous)
        state.update(self.saved, connection=self.real)
        del state[_EMULATED]

    def give_way(self, block: Any) -> None:
        """Let a test case, which began around this, begin a transaction of its own."""
        self.rollback()
        self.users = 0
        self.connection.in_atomic_block = False
        self.restore_if_unused()
        block.__enter__()

    def set_autocommit(
        self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False
    ) -> None:
        if not (autocommit or force_begin_transaction_with_broken_autocommit):
            raise transaction.TransactionManagementError(
                "set_autocommit(False) cannot be undone inside a TestCase. Test what uses it in a "
                "TransactionTestCase."
            )
        try:
            type(self.connection).set_autocommit(
                self.connection, autocommit, force_begin_transaction_with_broken_autocommit
            )
        finally:
            self.restore_if_unused()

    def _set_autocommit(self, autocommit: bool) -> None:
        if not autocommit:
            self._execute(self.connection.ops.savepoint_create_sql(SAVEPOINT))
            self.is_open = True

    def begin(self) -> None:
        with debug_transaction(self.connection, "BEGIN"):
            self._set_autocommit(False)

    def commit(self) -> None:
        if not self.is_open:
            return
        self._check_constraints()
        with debug_transaction(self.connection, "COMMIT"):
            self._execute(self.connection.ops.savepoint_commit_sql(SAVEPOINT))
        self.is_open = False

    def rollback(self) -> None:
        if not self.is_open:
            return
        with debug_transaction(self.connection, "ROLLBACK"):
            self._execute(self.connection.ops.savepoint_rollback_sql(SAVEPOINT))
            self._execute(self.connection.ops.savepoint_commit_sql(SAVEPOINT))
        self.is_open = False

    def close(self) -> None:
        """Lose what a closed connection loses, and keep the one that has the test's rows."""
        self.rollback()

    def get_new_connection(self, _: object) -> Any:
        return self.real

    def _check_constraints(self) -> None:
        """Find what a real commit would find."""
        if not self.connection.features.can_defer_constraint_checks:
            return
        with unseen(self.connection):
            self.connection.check_constraints()
            if self.connection.vendor == "postgresql":
                self._check_at_once()

    def _check_at_once(self) -> None:
        """Have checked at once what a new transaction does: Django leaves all put off."""
        quote = self.connection.ops.quote_name
        with self.connection.cursor() as cursor:
            cursor.execute(_CHECKED_AT_ONCE)
            if names := [f"{quote(schema)}.{quote(name)}" for schema, name in cursor.fetchall()]:
                cursor.execute(f"SET CONSTRAINTS {', '.join(names)} IMMEDIATE")

    def _execute(self, sql: str) -> None:
        # On the driver's own connection: no query of the code under test, and no wrapper of its
        # queries, knows of it.
        with self.connection.wrap_database_errors, closing(self.real.cursor()) as cursor:
            cursor.execute(sql)


def _replaced(connection: BaseDatabaseWrapper, attributes: dict[str, Any]) -> dict[str, Any]:
    """Give a connection attributes of its own; return what is there before."""
    state = vars(connection)
    previous = {name: state.get(name) for name in attributes}
    state.update(attributes)
    return previous


def _put_back(connection: BaseDatabaseWrapper, previous: dict[str, Any]) -> None:
    for name, value in previous.items():
        if value is None:
            del vars(connection)[name]
        else:
            vars(connection)[name] = value
