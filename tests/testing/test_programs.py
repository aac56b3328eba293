"""Random programs do inside a test case, with ``run_on_commit``, what they do with real commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction
from hypothesis import HealthCheck, given, note, settings

from signals_plus.testing import run_on_commit
from tests.programs import ALIASES, EXPECTED, Boom, observed, programs, run_all
from tests.settings import DATABASES
from tests.testapp.models import Tag

slow = settings(
    deadline=None,
    max_examples=30 if DATABASES["default"]["ENGINE"].endswith("mysql") else 200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

pytestmark = pytest.mark.django_db(transaction=True, databases=ALIASES)


@contextmanager
def inside_a_test_case() -> Iterator[None]:
    """Stand for the two transactions that a TestCase puts around a test."""
    atomics = [transaction.atomic(using=alias) for alias in ALIASES for _ in range(2)]
    with ExitStack() as stack:
        for atomic in atomics:
            atomic._from_testcase = True  # type: ignore[attr-defined]
            stack.enter_context(atomic)
        yield
        for alias in ALIASES:
            connections[alias].check_constraints()
            transaction.set_rollback(True, using=alias)


@dataclass
class Outcome:
    """All that a program did that anybody can see."""

    ours: list[Any]
    by_hand: list[Any]
    batches: list[Any]
    coalesced: list[Any]
    rows: set[tuple[str, str]]
    has_failed: bool
    ended_by: list[type] = field(default_factory=list)


def outcome(program: list[Any], around: AbstractContextManager[Any]) -> Outcome:
    before = {alias: set(Tag.objects.using(alias).values_list("pk")) for alias in ALIASES}
    ended_by: list[type] = []
    with observed() as run, suppress(*EXPECTED, ExceptionGroup), around:
        try:
            run_all(program, run)
        except EXPECTED as error:
            ended_by.append(kind(error))
        for alias in ALIASES:  # whatever it left open is lost with its connection
            connections[alias].close()
            connections[alias].run_on_commit = []
            connections[alias].run_commit_hooks_on_set_autocommit_on = False
        rows = {
            (alias, name)
            for alias in ALIASES
            for pk, name in Tag.objects.using(alias).values_list("pk", "name")
            if (pk,) not in before[alias]
        }
    return Outcome(run.ours, run.oracle, run.batches, run.coalesced, rows, run.has_failed, ended_by)


def kind(error: Exception) -> type:
    """Return what it is, but for what is wrong with a connection that was closed in a transaction.

    The driver says that of a real one, and Django of the one that is kept open for the test.
    """
    kinds = (Boom, IntegrityError)
    return next((each for each in kinds if isinstance(error, each)), DatabaseError)


@slow
@given(programs(closes=True, captures=True, raises=True, violates=True))
def test_a_program_does_the_same(program: list[Any]) -> None:
    """What runs, in which order, what is rolled back, what raises, and which rows are there."""
    note(f"program: {program}")
    expected = outcome(program, nullcontext())

    with inside_a_test_case():
        emulated = outcome(program, run_on_commit(robust=True))

    assert emulated == expected


@slow
@given(programs(closes=True, captures=False, raises=True, violates=True))
def test_a_loud_program_does_the_same_and_raises_then(program: list[Any]) -> None:
    """Errors that production logs change nothing before the end of the block."""
    note(f"program: {program}")
    expected = outcome(program, nullcontext())
    loud = run_on_commit()

    with inside_a_test_case():
        emulated = outcome(program, loud)

    assert emulated == expected
