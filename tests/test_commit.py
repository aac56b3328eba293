"""What the collector promises: what one plain ``on_commit`` per event would do, in its order."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, note, settings

from tests.programs import ALIASES, EXPECTED, observed, programs, run_all
from tests.settings import DATABASES
from tests.testapp.models import Tag

slow = settings(
    deadline=None,
    # A commit of MariaDB waits for the disk.
    max_examples=40 if DATABASES["default"]["ENGINE"].endswith("mysql") else 200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def run_program(program: list[Any]) -> Any:
    note(f"program: {program}")
    with observed() as run:
        try:
            run_all(program, run)
        except EXPECTED as error:
            note(f"ended by {error!r}")
        note(f"oracle: {run.oracle}")
    return run


def reset_connections() -> None:
    for alias in ALIASES:
        connections[alias].close()
        connections[alias].run_on_commit = []
        connections[alias].run_commit_hooks_on_set_autocommit_on = False


@pytest.mark.django_db(transaction=True, databases=ALIASES)
class TestCollectInRealTransactions:
    @slow
    @given(programs(closes=True, captures=True, raises=True))
    def test_delivers_what_one_on_commit_per_event_would_in_its_order(
        self, program: list[Any]
    ) -> None:
        """Whatever is rolled back, closed, captured or raised: the same events, the same order."""
        reset_connections()

        run = run_program(program)
        reset_connections()

        assert run.ours == run.oracle

    @slow
    @given(programs(closes=False, captures=False, raises=False))
    def test_delivers_exactly_the_rows_that_were_committed(self, program: list[Any]) -> None:
        """Without callbacks that raise, an event is delivered if and only if its row is there."""
        program = [each for each in program if "ManualSavepoint" not in repr(each)]
        reset_connections()
        before = {alias: set(Tag.objects.using(alias).values_list("pk")) for alias in ALIASES}

        run = run_program(program)

        reset_connections()
        committed = {
            (alias, name)
            for alias in ALIASES
            for pk, name in Tag.objects.using(alias).values_list("pk", "name")
            if (pk,) not in before[alias]
        }
        delivered = {name for who, name in run.ours if who == "first"}
        assert {row for row in run.rows if row[1] in delivered} == committed


@pytest.mark.django_db(databases=ALIASES)
class TestCollectInsideATestCase:
    @slow
    @given(programs(closes=False, captures=True, raises=True))
    def test_captured_callbacks_deliver_what_one_on_commit_per_event_would(
        self, program: list[Any]
    ) -> None:
        """A test that captures callbacks sees ours as it sees plain ones."""
        run = run_program(program)

        assert run.ours == run.oracle
