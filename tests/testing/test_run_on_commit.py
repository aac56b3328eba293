"""Commits that count inside a test case. ``test_programs`` holds them against real ones."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import unittest
from typing import Any

import hypothesis.extra.django
import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, connection, connections, reset_queries, transaction
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError
from django.test import TestCase, TransactionTestCase
from hypothesis import given, settings, strategies

from signals_plus import receiver_on_commit, receiver_task
from signals_plus.backends.handler import backends
from signals_plus.testing import RunOnCommitMixin, SignalsMixin, capture_tasks, run_on_commit
from tests.testapp.models import Item, Tag

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def run(case: type[unittest.TestCase]) -> unittest.TestResult:
    """Run a unittest class as unittest does."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun
    return result


def errors(result: unittest.TestResult) -> list[str]:
    return [text for _, text in result.errors + result.failures]


@pytest.fixture
def seen() -> list[str]:
    return []


@pytest.fixture
def by_receiver(seen: list[str]) -> None:
    """Note on commit which tag was saved."""

    def note(instance: Tag, **kwargs: Any) -> None:
        seen.append(instance.name)

    receiver_on_commit(post_save, sender=Tag)(note)


@pytest.mark.usefixtures("by_receiver")
class TestRunOnCommit:
    def test_runs_at_the_end_of_the_outermost_block_of_the_code(self, seen: list[str]) -> None:
        """Neither earlier nor at the end of the test's."""
        with run_on_commit():
            with transaction.atomic():
                with transaction.atomic():
                    Tag.objects.create(name="a")
                assert seen == []
            assert seen == ["a"]
            Tag.objects.create(name="b")
            assert seen == ["a", "b"]

    def test_runs_native_callbacks_in_between(self, seen: list[str]) -> None:
        """In the order in which all were registered."""
        with run_on_commit(), transaction.atomic():
            transaction.on_commit(lambda: seen.append("first"))
            Tag.objects.create(name="a")
            transaction.on_commit(lambda: seen.append("last"))

        assert seen == ["first", "a", "last"]

    def test_runs_nothing_after_a_rollback(self, seen: list[str]) -> None:
        """Of the transaction, of a savepoint, or of a block without one."""
        with run_on_commit():
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                Tag.objects.create(name="a")
                raise ZeroDivisionError
            with pytest.raises(ZeroDivisionError), transaction.atomic(savepoint=False):
                Tag.objects.create(name="b")
                raise ZeroDivisionError
            with transaction.atomic():
                Tag.objects.create(name="c")
                transaction.set_rollback(True)

        assert seen == []
        assert not Tag.objects.exists()

    def test_runs_on_every_database(self, seen: list[str]) -> None:
        """Each when its own transaction ends."""
        with run_on_commit(), transaction.atomic():
            with transaction.atomic(using="other"):
                Tag.objects.create(name="a")
                Tag.objects.using("other").create(name="b")
            assert seen == ["b"]

        assert seen == ["b", "a"]

    def test_leaves_what_waited_before_alone(self, seen: list[str]) -> None:
        """Its test is about other things; and the list is what it was."""
        Tag.objects.create(name="before")
        waiting = list(connection.run_on_commit)

        with run_on_commit():
            Tag.objects.create(name="a")

        assert seen == ["a"]
        assert connection.run_on_commit == waiting

    def test_nests(self, seen: list[str]) -> None:
        """The end of the inner block is not that of the outer."""
        with run_on_commit():
            with run_on_commit():
                pass
            Tag.objects.create(name="a")
            assert seen == ["a"]
        Tag.objects.create(name="b")
        assert seen == ["a"]

    def test_a_durable_block_is_one(self) -> None:
        """As in production, where it must not be inside another."""
        with run_on_commit(), transaction.atomic(durable=True):
            pass
        with (
            run_on_commit(),
            transaction.atomic(),
            pytest.raises(RuntimeError, match="durable"),
            transaction.atomic(durable=True),
        ):
            pass

    def test_refuses_to_begin_inside_a_transaction(self, database_is_untouched: None) -> None:
        """Its work would be committed after the block."""
        with (
            transaction.atomic(),
            pytest.raises(TransactionManagementError, match=r"inside atomic\(\) on 'default'"),
            run_on_commit(),
        ):
            pass

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("begin", ["setUpClass", "setUpTestData"])
    def test_says_that_it_began_before_the_transaction_of_the_test(
        self, begin: str, seen: list[str]
    ) -> None:
        """For the class, where it would run nothing, and nobody would know."""

        class Tests(TestCase):
            @classmethod
            def setUpClass(cls) -> None:
                if begin == "setUpClass":
                    cls.enterClassContext(run_on_commit())
                super().setUpClass()

            @classmethod
            def setUpTestData(cls) -> None:
                if begin == "setUpTestData":
                    cls.enterClassContext(run_on_commit())
                    Tag.objects.create(name="data")

            def test_it(self) -> None:
                with pytest.raises(TransactionManagementError, match="Begin it in setUp"):
                    Tag.objects.create(name="a")
                Tag.objects.bulk_create([Tag(name="b")])

            def test_it_again(self) -> None:
                assert not Tag.objects.filter(name="b").exists()
                with run_on_commit(), transaction.atomic():
                    transaction.on_commit(lambda: seen.append("inner"))

        assert errors(run(Tests)) == []
        assert seen == (["inner"] if begin == "setUpClass" else ["data", "inner"])
        assert not connection.in_atomic_block
        assert not Tag.objects.exists()

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("begin", ["run_on_commit()", "capture_tasks()"])
    def test_what_it_says_of_that_names_the_block(self, begin: str) -> None:
        """The one that was written, and not what is inside it."""
        block = run_on_commit() if begin == "run_on_commit()" else capture_tasks()

        class Tests(TestCase):
            @classmethod
            def setUpClass(cls) -> None:
                cls.enterClassContext(block)
                super().setUpClass()

            def test_it(self) -> None:
                with pytest.raises(TransactionManagementError) as caught:
                    transaction.on_commit(list)
                assert str(caught.value).startswith(f"{begin} began before")
                assert f"write @{begin} below @given" in str(caught.value)

        assert errors(run(Tests)) == []

    def test_lets_others_be(self, seen: list[str]) -> None:
        """Threads that are in no block, whatever another thread does."""
        began, over = threading.Event(), threading.Event()

        def use() -> None:
            with run_on_commit():
                began.set()
                over.wait()

        thread = threading.Thread(target=use)
        thread.start()
        began.wait()
        try:
            transaction.on_commit(lambda: seen.append("of the test case"))
        finally:
            over.set()
            thread.join()

        assert seen == []

    def test_refuses_manual_transactions(self) -> None:
        """They could not be taken back."""
        with run_on_commit(), pytest.raises(TransactionManagementError, match="TransactionTest"):
            transaction.set_autocommit(False)

    def test_checks_constraints_at_the_commit(self, seen: list[str]) -> None:
        """What the database would find there, and nothing runs."""
        with run_on_commit(), pytest.raises(IntegrityError), transaction.atomic():
            Tag.objects.create(name="a")
            Item.objects.create(parent_id=10_000_000)

        assert seen == []
        assert not Tag.objects.exists()

    @pytest.mark.skipif(
        not connection.features.supports_deferrable_unique_constraints, reason="has none of these"
    )
    def test_leaves_constraints_as_a_transaction_finds_them(self) -> None:
        """What is checked at once stays so after a commit, what was put off for one does not."""
        with connection.cursor() as cursor, run_on_commit():
            cursor.execute('CREATE TABLE "Seat" (pos integer, "Row" integer)')
            cursor.execute('ALTER TABLE "Seat" ADD CONSTRAINT "Pos" UNIQUE (pos) DEFERRABLE')
            with transaction.atomic():
                cursor.execute('SET CONSTRAINTS "Pos" DEFERRED')
                cursor.execute('INSERT INTO "Seat" VALUES (1, 1)')

            with transaction.atomic():
                with pytest.raises(IntegrityError), transaction.atomic():
                    cursor.execute('INSERT INTO "Seat" VALUES (1, 2)')
                cursor.execute('INSERT INTO "Seat" VALUES (2, 2)')

    def test_costs_no_more_queries_than_a_transaction(self, django_assert_num_queries: Any) -> None:
        """BEGIN, INSERT and COMMIT, as with real ones."""
        with run_on_commit(), django_assert_num_queries(3), transaction.atomic():
            Tag.objects.create(name="a")

    def test_looks_at_constraints_out_of_sight(self, settings: Any) -> None:
        """Of whoever wraps or logs the queries of the code under test."""
        settings.DEBUG = True
        wrapped: list[str] = []

        def wrapper(execute: Any, sql: str, *args: Any) -> Any:
            wrapped.append(sql)
            return execute(sql, *args)

        with run_on_commit(), connection.execute_wrapper(wrapper):
            reset_queries()
            with transaction.atomic():
                Tag.objects.create(name="a")

        assert [sql.split()[0] for sql in wrapped] == ["INSERT"]
        assert [each["sql"].split()[0] for each in connection.queries] == [
            "BEGIN",
            "INSERT",
            "COMMIT",
        ]

    def test_a_block_that_is_left_in_a_transaction_ends_with_it(self, seen: list[str]) -> None:
        """However that came about."""
        helper = run_on_commit()
        helper.__enter__()
        with transaction.atomic():
            Tag.objects.create(name="a")
            helper.__exit__(None, None, None)
            assert seen == []
        assert seen == ["a"]
        Tag.objects.create(name="b")
        assert seen == ["a"]


@pytest.fixture
def database_is_untouched() -> Any:
    before = {alias: dict(vars(connections[alias])) for alias in connections}
    yield
    for alias, state in before.items():
        assert vars(connections[alias]).keys() == state.keys()


class TestLoudness:
    def failing(self, name: str = "failing", **options: Any) -> None:
        def fail(**kwargs: Any) -> None:
            raise ValueError(name)

        receiver_on_commit(post_save, sender=Tag, **options)(fail)

    def test_raises_at_the_end_what_production_only_logs(
        self, seen: list[str], by_receiver: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The rest has run by then, and it is logged as well."""
        self.failing()

        with pytest.raises(ValueError, match="failing") as caught, run_on_commit():
            Tag.objects.create(name="a")
            seen.append("goes on")

        assert seen == ["a", "goes on"]
        assert "run_on_commit(robust=True)" in caught.value.__notes__[0]
        assert "failed after the commit" in caplog.text

    def test_raises_what_robust_callbacks_of_others_raise(self) -> None:
        """Partials, too, which have no name of their own."""
        with pytest.raises(ZeroDivisionError), run_on_commit():
            transaction.on_commit(functools.partial(lambda: 1 / 0), robust=True)

    def test_raises_several_in_a_group(self) -> None:
        """In their order."""
        self.failing("one")
        self.failing("two")

        with pytest.raises(ExceptionGroup) as caught, run_on_commit():
            Tag.objects.create(name="a")

        assert [str(error) for error in caught.value.exceptions] == ["one", "two"]

    def test_does_not_hide_the_error_of_the_test(self) -> None:
        """It has a note of the others."""
        self.failing()

        with pytest.raises(KeyError) as caught, run_on_commit():
            Tag.objects.create(name="a")
            raise KeyError

        assert "ValueError('failing')" in caught.value.__notes__[0]

    def test_is_robust_where_it_is_told_to_be(self, caplog: pytest.LogCaptureFixture) -> None:
        """Then it logs, as production does."""
        self.failing()

        with run_on_commit(robust=True):
            Tag.objects.create(name="a")

        assert "failed after the commit" in caplog.text

    def test_is_that_of_the_innermost_block(self) -> None:
        """Which is the one that was begun last, be it for a second time."""
        self.failing()
        loud, robust = run_on_commit(), run_on_commit(robust=True)

        with loud, robust:
            Tag.objects.create(name="a")

        with pytest.raises(ValueError, match="failing"), loud, robust, loud:
            Tag.objects.create(name="b")

    def test_others_leave_atomic_as_ever(self) -> None:
        """An error that is not robust comes where it comes in production."""
        self.failing(robust=False)

        with run_on_commit(), pytest.raises(ValueError, match="failing"), transaction.atomic():
            Tag.objects.create(name="a")

    @pytest.mark.django_db(transaction=True)
    def test_holds_for_real_commits(self) -> None:
        """The same test, in a TransactionTestCase."""
        self.failing()

        with pytest.raises(ValueError, match="failing"), run_on_commit():
            Tag.objects.create(name="a")


class TestLoudnessOfTasks:
    """Of those that a backend runs in the process, and that no worker will ever report."""

    @pytest.fixture(autouse=True)
    def failing_task(self, settings: Any) -> None:
        self.use(settings, "immediate.ImmediateBackend")

        @receiver_task(post_save, sender=Tag, name="shop.fail")
        def fail(instance: Tag, **kwargs: Any) -> None:
            if instance.name == "exits":
                raise SystemExit(3)
            raise KeyError(instance.name)

    def use(self, settings: Any, backend: str) -> None:
        path = f"signals_plus.backends.{backend}"
        settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": path}}

    def test_raises_at_the_end(self, seen: list[str], caplog: pytest.LogCaptureFixture) -> None:
        """It is logged as well, and the rest runs."""
        with pytest.raises(KeyError) as caught, run_on_commit():
            Tag.objects.create(name="a")
            seen.append("goes on")

        assert seen == ["goes on"]
        assert caught.value.__notes__[0].startswith("Raised by shop.fail after the commit.")
        assert "Task shop.fail failed" in caplog.text

    def test_raises_how_it_ended(self) -> None:
        """Which ends the task alone in production."""
        with pytest.raises(SystemExit), run_on_commit():
            Tag.objects.create(name="exits")

    def test_is_robust_where_it_is_told_to_be(self) -> None:
        """Then it logs."""
        with run_on_commit(robust=True):
            Tag.objects.create(name="a")

    @pytest.mark.django_db(transaction=True)
    def test_in_a_thread(self, settings: Any) -> None:
        """If it has failed by the end of the block."""
        self.use(settings, "thread.ThreadBackend")
        with pytest.raises(KeyError), run_on_commit():
            Tag.objects.create(name="a")
            backends["default"].close()


class TestAsDecorator:
    def test_of_functions(self, seen: list[str], by_receiver: None) -> None:
        """With what they return."""

        @run_on_commit()
        def save(name: str) -> str:
            Tag.objects.create(name=name)
            return name.upper()

        assert save("a") == "A"
        assert seen == ["a"]

    def test_of_unittest_classes(self, seen: list[str], by_receiver: None) -> None:
        """Each test has a block of its own, its set-up included."""

        @run_on_commit()
        class Tests(TestCase):
            def setUp(self) -> None:
                Tag.objects.create(name="set up")

            def test_one(self) -> None:
                Tag.objects.create(name="one")

            async def test_two(self) -> None:
                await Tag.objects.acreate(name="two")

        assert errors(run(Tests)) == []
        assert seen == ["set up", "one", "set up", "two"]

    def test_of_coroutines(self, seen: list[str], by_receiver: None) -> None:
        """It works on the thread that has the connections."""

        class Tests(TestCase):
            @run_on_commit()
            async def test_it(self) -> None:
                await Tag.objects.acreate(name="a")

        assert errors(run(Tests)) == []
        assert seen == ["a"]


class TestMixins:
    def test_a_block_in_set_up_test_data(self, seen: list[str], by_receiver: None) -> None:
        """It is in the transaction of the class."""

        class Tests(TestCase):
            @classmethod
            def setUpTestData(cls) -> None:
                with run_on_commit():
                    Tag.objects.create(name="a")

            def test_it(self) -> None:
                assert Tag.objects.get().name == "a"
                Tag.objects.create(name="b")

        assert errors(run(Tests)) == []
        assert seen == ["a"]

    def test_run_on_commit_mixin(self, seen: list[str], by_receiver: None) -> None:
        """In every test of the class."""

        class Tests(RunOnCommitMixin, TestCase):
            def test_it(self) -> None:
                Tag.objects.create(name="a")

        assert errors(run(Tests)) == []
        assert seen == ["a"]

    def test_where_each_example_has_a_transaction(self, seen: list[str], by_receiver: None) -> None:
        """Hypothesis begins it after setUp: the message says what to do."""

        class Tests(RunOnCommitMixin, hypothesis.extra.django.TestCase):
            @settings(max_examples=2, database=None)
            @given(text=strategies.just("a"))
            def test_it(self, text: str) -> None:
                Tag.objects.create(name=text)

        assert "write @run_on_commit() below @given" in errors(run(Tests))[0]
        assert seen == []

    def test_in_each_example(self, seen: list[str], by_receiver: None) -> None:
        """As that message says."""

        class Tests(hypothesis.extra.django.TestCase):
            @settings(max_examples=2, database=None)
            @given(text=strategies.just("a"))
            @run_on_commit()
            def test_it(self, text: str) -> None:
                Tag.objects.create(name=text)

        assert errors(run(Tests)) == []
        assert set(seen) == {"a"}

    def test_a_test_fails_of_what_is_logged(self) -> None:
        """Production only logs it."""
        TestLoudness().failing()

        class Tests(RunOnCommitMixin, TestCase):
            def test_it(self) -> None:
                Tag.objects.create(name="a")

        assert "ValueError: failing" in errors(run(Tests))[0]

    @pytest.mark.parametrize("base", [TestCase, TransactionTestCase])
    def test_signals_mixin(
        self, base: type[unittest.TestCase], seen: list[str], by_receiver: None
    ) -> None:
        """From the call to the end of the test."""

        class Tests(SignalsMixin, base):  # type: ignore[misc, valid-type]
            def test_it(self) -> None:
                self.run_on_commit()
                Tag.objects.create(name="a")

        assert errors(run(Tests)) == []
        assert seen == ["a"]


class TestAsync:
    def test_async_with(self, seen: list[str], by_receiver: None) -> None:
        """In a coroutine; a plain block is refused, since its thread has no connection."""

        class Tests(TestCase):
            async def test_it(self) -> None:
                async with run_on_commit():
                    await sync_to_async(save_in_a_transaction)("a")
                with pytest.raises(TransactionManagementError, match="async with"):
                    run_on_commit().__enter__()

        assert errors(run(Tests)) == []
        assert seen == ["a"]

    @pytest.mark.parametrize("helper", [run_on_commit, capture_tasks])
    def test_refused_in_its_own_words(self, helper: Any) -> None:
        """With what to write instead."""
        name = f"{helper.__name__}()"

        async def begin() -> None:
            helper().__enter__()

        with pytest.raises(TransactionManagementError, match="Write: async with") as caught:
            asyncio.run(begin())
        assert str(caught.value).startswith(f"{name} begins in a coroutine")
        assert str(caught.value).endswith(f"Write: async with {name}.")
        with transaction.atomic(), pytest.raises(TransactionManagementError) as caught:
            helper().__enter__()
        assert str(caught.value).startswith(f"{name} begins inside atomic() on 'default'")
        assert str(caught.value).endswith(f"Write atomic() inside {name}.")

    @pytest.mark.django_db(transaction=True)
    def test_where_django_allows_it(
        self, seen: list[str], by_receiver: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """For tools that leave a loop running in the thread of the database."""
        monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

        async def test() -> None:
            with run_on_commit():
                save_in_a_transaction("a")
            connections.close_all()  # those of the coroutine

        asyncio.run(test())

        assert seen == ["a"]

    def test_a_cancelled_task_leaves_nothing(self, database_is_untouched: None) -> None:
        """It may be cancelled anywhere, and more than once."""

        class Tests(TestCase):
            # Django's own block on the others leaves attributes on their connections.
            databases = "__all__"

            async def test_it(self) -> None:
                began = asyncio.Event()

                async def forever() -> None:
                    async with run_on_commit():
                        began.set()
                        await asyncio.Event().wait()

                task = asyncio.create_task(forever())
                await began.wait()
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        assert errors(run(Tests)) == []


def save_in_a_transaction(name: str) -> None:
    with transaction.atomic():
        Tag.objects.create(name=name)


def test_logs_are_those_of_production(caplog: pytest.LogCaptureFixture) -> None:
    """The robust callback's name is in them, not ours."""

    def by_hand() -> None:
        raise ValueError

    with pytest.raises(ValueError), caplog.at_level(logging.ERROR), run_on_commit():  # noqa: PT011
        transaction.on_commit(by_hand, robust=True)

    assert "by_hand" in caplog.text
