"""However and wherever a block is left, nothing stays muted, captured, connected or emulated."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError
from django.dispatch import Signal

from signals_plus import _compat, live, observing, receiver, receiver_on_commit, receiver_task
from signals_plus.backends.handler import backends
from signals_plus.testing import (
    capture_signals,
    capture_tasks,
    isolated_receivers,
    mute_signals,
    run_on_commit,
)
from signals_plus.testing.recording import Recorder
from tests.testapp.models import Item, Tag

pytestmark = pytest.mark.django_db(databases=["default", "other"])

custom = Signal()

MAKERS: dict[str, Callable[[], Any]] = {
    "mute_signals": lambda: mute_signals(custom, post_save),
    "mute_signals of one receiver": lambda: mute_signals(receivers=[print]),
    "mute_signals of all threads": lambda: mute_signals(custom, all_threads=True),
    "capture_signals": lambda: capture_signals(custom, post_save),
    "capture_signals of all threads": lambda: capture_signals(custom, all_threads=True, mute=True),
    "capture_tasks": capture_tasks,
    "capture_tasks of all threads": lambda: capture_tasks(all_threads=True, immediate=True),
    "run_on_commit": run_on_commit,
    "isolated_receivers": isolated_receivers,
}
HELPERS = {name: make for name, make in MAKERS.items() if not name.startswith("mute")}


def state() -> list[Any]:
    """Return all that the helpers change, of this thread and context and of all of them."""
    return [
        [rule for rule in live.rules_here.get() if not rule.ended],
        live.everywhere.rules,
        observing.watching.watchers,
        backends.stand_in,
        [*Recorder.scope],
        [*run_on_commit.scope],
        len([*isolated_receivers.scope]),
        [vars(signal).keys() - {"_live_receivers"} for signal in (custom, post_save)],
        [set(vars(connections[alias])) for alias in connections],
        [connections[alias].in_atomic_block for alias in connections],
        len(_compat._savers),
        BaseDatabaseWrapper.on_commit,
    ]


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """Look at the state afterwards, and at what signals and commits then do."""
    done: list[str] = []
    receiver(custom)(lambda **kwargs: done.append("custom"))
    receiver_on_commit(post_save, sender=Tag)(lambda **kwargs: done.append("commit"))
    before = state()
    yield
    after = state()
    done.clear()
    custom.send(None)
    Tag.objects.create(name="a")
    assert after == before
    assert done == ["custom"]


@pytest.fixture(params=[*MAKERS.values()], ids=[*MAKERS])
def make(request: pytest.FixtureRequest) -> Any:
    """Make one block of each kind."""
    return request.param


@pytest.fixture(params=[*HELPERS.values()], ids=[*HELPERS])
def make_helper(request: pytest.FixtureRequest) -> Any:
    """Make one block of each kind that has ``async with``."""
    return request.param


def do_nothing(**kwargs: Any) -> None: ...


def divide_by_zero(**kwargs: Any) -> None:
    raise ZeroDivisionError


def in_a_thread(function: Callable[[], Any]) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    for error in errors:
        raise error


def run_by_django(coroutine: Coroutine[Any, Any, None]) -> None:
    async def main() -> None:
        await coroutine

    async_to_sync(main)()


class TestLeft:
    def test_by_an_exception(self, make: Any) -> None:
        """Also one that is no Exception, and from a transaction."""
        for error in (ZeroDivisionError, KeyboardInterrupt, GeneratorExit):
            with pytest.raises(error), make(), transaction.atomic():
                raise error

    def test_by_return(self, make: Any) -> None:
        """Out of two at a time, and out of the decorator."""

        def leave() -> str:
            with make(), make():
                return "left"

        assert leave() == make()(leave)() == "left"

    def test_by_continue_and_break(self, make: Any) -> None:
        """Out of a loop; one object again and again."""
        block = make()
        for number in range(4):
            with block:
                if number < 2:
                    continue
                break

    def test_by_a_generator_that_is_closed(self, make: Any) -> None:
        """By hand, or by the garbage collector, at any time."""

        def generator() -> Generator[None]:
            with make():
                yield

        one = generator()
        next(one)
        one.close()
        other = generator()
        next(other)
        del other
        gc.collect()

    def test_by_a_generator_that_another_thread_closes(self, make: Any) -> None:
        """As the garbage collector may."""

        def generator() -> Generator[None]:
            with make():
                yield

        one = generator()
        next(one)
        in_a_thread(one.close)

    def test_from_another_thread(self, make: Any) -> None:
        """And begun in one."""
        one, other = make(), make()
        one.__enter__()
        in_a_thread(lambda: one.__exit__(None, None, None))
        in_a_thread(other.__enter__)
        other.__exit__(None, None, None)

    def test_from_another_context(self, make: Any) -> None:
        """Where a token of a ContextVar would be refused."""
        one, other = make(), make()
        one.__enter__()
        copy_context().run(one.__exit__, None, None, None)
        copy_context().run(other.__enter__)
        other.__exit__(None, None, None)

    def test_in_any_order(self, make: Any) -> None:
        """Several at a time, the one that was begun first at first."""
        blocks = [make(), make(), make()]
        for block in blocks:
            block.__enter__()
        for block in blocks:
            block.__exit__(None, None, None)

    def test_by_many_threads_that_share_it(self, make: Any) -> None:
        """One object, at the same time."""
        block = make()
        everybody = threading.Barrier(4)

        def use() -> None:
            everybody.wait()
            for _ in range(25):
                with block:
                    pass
            for alias in connections:
                connections[alias].close()

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_with_the_transaction_open(self, make: Any) -> None:
        """It ends with the transaction."""
        block = make()
        block.__enter__()
        with transaction.atomic():
            block.__exit__(None, None, None)


class TestLeftAtOnceWithSomethingWaiting:
    """Its end looks into the outbox, which it may not be able to do."""

    @pytest.fixture(autouse=True)
    def _waiting(self) -> None:
        receiver_task(
            post_save,
            sender=Item,
            name="leaving.in_turn",
            durable=True,
            ordering_key=lambda **kwargs: "k",
        )(do_nothing)
        with capture_tasks():
            Item.objects.create(name="before")

    def test_by_a_transaction_that_is_broken(self) -> None:
        """And left open: no query can be made until its end."""
        block = transaction.atomic()

        with pytest.raises(TransactionManagementError), capture_tasks(immediate=True):
            Item.objects.create(name="a")
            block.__enter__()
            transaction.set_rollback(True)
        block.__exit__(None, None, None)

    def test_by_an_error_of_the_test(self) -> None:
        """It is this one that is raised, whatever the look finds."""
        block = transaction.atomic()

        with pytest.raises(ZeroDivisionError), capture_tasks(immediate=True):
            Item.objects.create(name="a")
            block.__enter__()
            transaction.set_rollback(True)
            raise ZeroDivisionError
        block.__exit__(None, None, None)

    def test_by_an_error_of_a_task(self) -> None:
        """It is this one that is raised, too."""
        receiver_task(post_save, sender=Tag, name="leaving.fails")(divide_by_zero)
        block = transaction.atomic()

        with pytest.raises(ZeroDivisionError), capture_tasks(immediate=True):
            Item.objects.create(name="a")
            Tag.objects.create(name="a")
            block.__enter__()
            transaction.set_rollback(True)
        block.__exit__(None, None, None)

    def test_by_another_thread(self) -> None:
        """Whose connections are not the test's."""

        def generator() -> Generator[None]:
            with capture_tasks(immediate=True):
                Item.objects.create(name="a")
                yield

        def close() -> None:
            one.close()
            connections.close_all()

        one = generator()
        next(one)
        in_a_thread(close)


class TestLeftByTasks:
    @pytest.mark.parametrize("turns", range(6))
    def test_that_are_cancelled(self, make_helper: Any, turns: int) -> None:
        """At whatever point: while it begins, in the block, while it ends; more than once."""

        async def main() -> None:
            async def use() -> None:
                async with make_helper():
                    await asyncio.sleep(0)

            task = asyncio.create_task(use())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        async_to_sync(main)()

    @pytest.mark.parametrize("run", [asyncio.run, run_by_django], ids=["asyncio", "asgiref"])
    @pytest.mark.parametrize("turns", range(12))
    def test_whose_loop_ends(self, make_helper: Any, turns: int, run: Any) -> None:
        """At whatever point, which cancels all there is, the call that ends the block as well."""

        async def main() -> None:
            async def use() -> None:
                async with make_helper():
                    pass

            task = asyncio.create_task(use())
            for _ in range(turns):
                await asyncio.sleep(0)
            del task

        run(main())

    def test_that_run_out_of_time(self, make_helper: Any) -> None:
        """As ``asyncio.timeout`` cancels them."""

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), make_helper():
                    await asyncio.Event().wait()

        async_to_sync(main)()

    def test_that_did_not_begin_it(self, make_helper: Any) -> None:
        """Neither the one nor the other is captured or muted afterwards."""

        async def main() -> None:
            block = make_helper()
            await asyncio.create_task(block.__aenter__())
            await asyncio.create_task(block.__aexit__(None, None, None))

        async_to_sync(main)()

    def test_whose_loop_ends_while_the_thread_is_at_it(self) -> None:
        """It has ended once, and the task was cancelled, no more."""
        may_end = threading.Event()

        async def main() -> asyncio.Task[None]:
            loop, is_ending = asyncio.get_running_loop(), asyncio.Event()

            class Slow(capture_signals):
                def _end(self, error: BaseException | None) -> None:
                    super()._end(error)
                    loop.call_soon_threadsafe(is_ending.set)
                    may_end.wait(10)

            async def use() -> None:
                async with Slow(custom):
                    pass

            async def wait_for_the_end_of_the_loop() -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    may_end.set()

            waiting = asyncio.create_task(wait_for_the_end_of_the_loop())
            task = asyncio.create_task(use())
            await is_ending.wait()
            assert not waiting.done()
            return task

        assert asyncio.run(main()).cancelled()

    def test_that_share_it(self, make_helper: Any) -> None:
        """One object, at the same time, in whatever order they come and go."""

        async def main() -> None:
            block = make_helper()

            async def use(turns: int) -> None:
                for _ in range(turns):
                    await asyncio.sleep(0)
                async with block:
                    for _ in range(5 - turns):
                        await asyncio.sleep(0)

            await asyncio.gather(*(use(turns) for turns in (0, 3, 1, 5, 0, 2)))

        async_to_sync(main)()

    def test_in_a_group_of_which_one_fails(self, make_helper: Any) -> None:
        """The others are cancelled."""

        async def main() -> None:
            async def use(error: Any) -> None:
                async with make_helper():
                    await asyncio.sleep(0)
                    raise error

            with pytest.raises(ExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    for error in (ZeroDivisionError, KeyError, ValueError):
                        group.create_task(use(error))

        async_to_sync(main)()

    def test_by_an_async_generator_that_nobody_finishes(self, make_helper: Any) -> None:
        """The loop does, at its end."""

        async def main() -> None:
            async def generator() -> AsyncGenerator[None]:
                async with make_helper():
                    yield

            async for _ in generator():
                break

        async_to_sync(main)()


class TestPatchesOfOnCommit:
    """Of others, who take their own away again, whenever they do."""

    def test_that_end_after_the_block(self) -> None:
        """What they put back does nothing any more, in later blocks neither."""
        original = BaseDatabaseWrapper.on_commit
        patch = pytest.MonkeyPatch()
        block = run_on_commit()
        block.__enter__()
        patch.setattr(BaseDatabaseWrapper, "on_commit", on_commit_at_once)
        block.__exit__(None, None, None)
        assert BaseDatabaseWrapper.on_commit is on_commit_at_once
        patch.undo()

        try:
            done: list[int] = []
            transaction.on_commit(lambda: done.append(1))
            assert done == []
            with pytest.raises(ZeroDivisionError) as caught, run_on_commit():
                transaction.on_commit(divide_by_zero, robust=True)
                transaction.on_commit(lambda: done.append(2))
            assert len(caught.value.__notes__) == 1
            assert done == [2]
        finally:
            BaseDatabaseWrapper.on_commit = original  # type: ignore[method-assign]

    def test_that_begin_and_end_in_the_block(self) -> None:
        """They are heard, and then no more."""
        with pytest.MonkeyPatch.context() as patch:
            done: list[int] = []
            with run_on_commit(), transaction.atomic():
                patch.setattr(BaseDatabaseWrapper, "on_commit", on_commit_at_once)
                transaction.on_commit(lambda: done.append(1))
                assert done == [1]
                patch.undo()
                transaction.on_commit(lambda: done.append(2))
                assert done == [1]
            assert done == [1, 2]


def on_commit_at_once(self: Any, func: Callable[[], Any], robust: bool = False) -> None:
    func()


class TestOneObjectInTwoTasks:
    @pytest.mark.parametrize("make", [capture_signals, mute_signals])
    def test_each_ends_its_own_part(self, make: Any) -> None:
        """The one that leaves is not seen any more; the other is."""
        heard: list[str] = []

        def hear(who: str = "", **kwargs: Any) -> None:
            heard.append(who)

        custom.connect(hear)

        async def main() -> None:
            block = make(custom, mute=True) if make is capture_signals else make(custom)
            both_are_in, first_is_out = asyncio.Event(), asyncio.Event()

            async def first() -> None:
                with block:
                    await both_are_in.wait()
                custom.send(None, who="first")
                first_is_out.set()

            async def second() -> None:
                await asyncio.sleep(0)
                with block:
                    both_are_in.set()
                    await first_is_out.wait()
                    custom.send(None, who="second")

            await asyncio.gather(first(), second())

        async_to_sync(main)()

        assert heard == ["first"]
