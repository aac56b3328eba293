"""What the collector promises: what one plain ``on_commit`` per event would do, in its order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.test import TestCase
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from signals_plus import commit
from tests.programs import (
    ALIASES,
    EXPECTED,
    Atomic,
    Run,
    Save,
    observed,
    programs,
    run_all,
)
from tests.settings import DATABASES
from tests.testapp.models import Tag

slow = settings(
    deadline=None,
    # A commit of MariaDB waits for the disk.
    max_examples=40 if DATABASES["default"]["ENGINE"].endswith("mysql") else 200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def run_program(program: list[Any]) -> Run:
    note(f"program: {program}")
    with observed() as run:
        try:
            run_all(program, run)
        except EXPECTED as error:
            run.has_failed = True
            note(f"ended by {error!r}")
        note(f"oracle: {run.oracle}")
    return run


def reset_connections() -> None:
    for alias in ALIASES:
        connections[alias].close()
        connections[alias].run_on_commit = []
        connections[alias].run_commit_hooks_on_set_autocommit_on = False


NEVER = 10_000  # more events than any program has


@contextmanager
def joining_from(entries: int) -> Iterator[None]:
    """Let events share an entry from this one on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "JOIN_FROM", entries)
        yield


@pytest.mark.django_db(transaction=True, databases=ALIASES)
class TestCollectInRealTransactions:
    @slow
    @given(programs(closes=True, captures=True, raises=True))
    def test_delivers_what_one_on_commit_per_event_would_in_its_order(
        self, program: list[Any]
    ) -> None:
        """Whatever is rolled back, closed, captured or raised: the same events, the same order."""
        reset_connections()

        with joining_from(NEVER):
            run = run_program(program)
        reset_connections()

        assert run.ours == run.oracle

    @slow
    @given(programs(closes=True, captures=False, raises=True))
    def test_delivers_the_same_where_events_share_an_entry(self, program: list[Any]) -> None:
        """As long transactions do; a capture in their midst would miss what joins an entry."""
        reset_connections()

        with joining_from(1):
            run = run_program(program)
        reset_connections()

        assert run.ours == run.oracle

    @slow
    @given(
        programs(closes=False, captures=False, raises=False, saves_again=False),
        st.sampled_from([1, commit.JOIN_FROM]),
    )
    def test_delivers_exactly_the_rows_that_were_committed(
        self, program: list[Any], join_from: int
    ) -> None:
        """Without callbacks that raise, an event is delivered if and only if its row is there."""
        program = [each for each in program if "ManualSavepoint" not in repr(each)]
        reset_connections()
        before = {alias: set(Tag.objects.using(alias).values_list("pk")) for alias in ALIASES}

        with joining_from(join_from):
            run = run_program(program)

        reset_connections()
        committed = {
            (alias, name)
            for alias in ALIASES
            for pk, name in Tag.objects.using(alias).values_list("pk", "name")
            if (pk,) not in before[alias]
        }
        delivered = {name for who, name in run.ours if who == "first"}
        in_batches = {name for batch in run.batches for name in batch}
        assert {row for row in run.rows if row[1] in delivered} == committed
        assert in_batches == delivered

    @slow
    @given(
        programs(closes=True, captures=False, raises=False),
        st.sampled_from([1, commit.JOIN_FROM]),
    )
    def test_delivers_once_for_each_transaction_what_is_batched_or_coalesced(
        self, program: list[Any], join_from: int
    ) -> None:
        """The events of plain callbacks: in one call, or the last of each row, one by one."""
        reset_connections()

        with joining_from(join_from):
            run = run_program(program)
        reset_connections()

        assert sorted(run.batches) == sorted(run.expected_batches())
        assert sorted(run.coalesced) == sorted(run.expected_when_coalesced())

    @slow
    @given(programs(closes=True, captures=True, raises=True))
    def test_a_batch_never_loses_what_plain_callbacks_deliver(self, program: list[Any]) -> None:
        """A callback that raises may lose less, since a batch is delivered in one place."""
        reset_connections()

        with joining_from(NEVER):
            run = run_program(program)
        reset_connections()

        in_batches = Counter(name for batch in run.batches for name in batch)
        assert Counter(run.delivered()) <= in_batches


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

    @slow
    @given(programs(closes=False, captures=True, raises=False))
    def test_a_batch_has_the_same_events(self, program: list[Any]) -> None:
        """However captures are nested, and as often as they run a callback."""
        run = run_program(program)

        in_batches = Counter(name for batch in run.batches for name in batch)
        delivered = Counter(run.delivered())
        # What a callback that fails keeps a plain one behind it from, a batch before it has.
        assert delivered <= in_batches if run.has_failed else in_batches == delivered
        assert all(batch == sorted(batch, key=run.order) for batch in run.batches)

    def test_a_batch_is_delivered_once_for_each_capture(self) -> None:
        """Also when savepoints lie between the events, or were rolled back."""
        with observed() as run:
            with TestCase.captureOnCommitCallbacks(execute=True):
                run_all([Save("default"), Atomic("default", True, "raise", [Save("default")])], run)
                run_all([Atomic("default", True, "commit", [Save("default")])], run)
            with TestCase.captureOnCommitCallbacks(execute=True):
                run_all([Save("default")], run)

        assert run.batches == [["event 1", "event 3"], ["event 4"]]
