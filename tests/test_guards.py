"""``recursion_guard``: the patterns written by hand today, and what they get wrong."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.db.models.signals import post_save
from django.dispatch import Signal
from django.dispatch import receiver as native_receiver

from signals_plus import lineage, receiver, receiver_on_commit, receiver_task, recursion_guard
from signals_plus.exceptions import InvalidReceiverError, RecursionLimitError
from signals_plus.registry import registry
from signals_plus.testing import assert_connected, capture_signals, isolated_receivers
from tests.testapp.models import Item, Tag

calls_of_module: list[Any] = []


@recursion_guard
def module_guarded(sender: Any, instance: Item, **kwargs: Any) -> str:
    """A guarded receiver of a module."""
    calls_of_module.append(instance.pk)
    return "called"


def module_plain(sender: Any, instance: Item, **kwargs: Any) -> str:
    calls_of_module.append(instance.pk)
    return "called"


@pytest.fixture(autouse=True)
def _forget_calls() -> Iterator[None]:
    calls_of_module.clear()
    yield
    calls_of_module.clear()


class TestDecorator:
    """``@recursion_guard`` on receivers connected by Django's own means."""

    def test_a_receiver_that_saves_its_row_runs_once(self, db: None) -> None:
        """The save in its work is done, and does not call it again."""
        calls: list[int] = []

        @native_receiver(post_save, sender=Item)
        @recursion_guard
        def score(sender: Any, instance: Item, **kwargs: Any) -> None:
            calls.append(instance.score)
            instance.score += 1
            instance.save()

        Item.objects.create(score=1)

        assert calls == [1]
        assert Item.objects.get().score == 2

    def test_two_receivers_that_cause_each_other(self, db: None) -> None:
        """A → B → A runs each once."""
        calls: list[str] = []

        @native_receiver(post_save, sender=Item)
        @recursion_guard
        def a(**kwargs: Any) -> None:
            calls.append("A")
            Tag.objects.create()

        @native_receiver(post_save, sender=Tag)
        @recursion_guard
        def b(**kwargs: Any) -> None:
            calls.append("B")
            Item.objects.get().save()

        Item.objects.create()

        assert calls == ["A", "B"]

    def test_other_receivers_and_other_rows_are_not_concerned(self, db: None) -> None:
        """Unguarded receivers hear every save, and the guarded one hears of other rows."""
        calls: list[str] = []

        @native_receiver(post_save, sender=Item)
        def unguarded(instance: Item, **kwargs: Any) -> None:
            calls.append(f"unguarded {instance.name}")

        @native_receiver(post_save, sender=Item)
        @recursion_guard
        def guarded(instance: Item, **kwargs: Any) -> None:
            calls.append(f"guarded {instance.name}")
            instance.save()
            if instance.name == "first":
                Item.objects.create(name="second")

        Item.objects.create(name="first")

        assert calls == [
            "unguarded first",
            "guarded first",
            "unguarded first",
            "unguarded second",
            "guarded second",
            "unguarded second",
        ]

    def test_raise(self, db: None) -> None:
        """``recursion="raise"`` makes the second run an error with the chain in it."""

        @native_receiver(post_save, sender=Item)
        @recursion_guard(recursion="raise")
        def saving(instance: Item, **kwargs: Any) -> None:
            instance.save()

        with pytest.raises(RecursionLimitError, match="caused again by its own work") as caught:
            Item.objects.create()

        assert len(caught.value.chain) == 2

    @pytest.mark.parametrize(
        "decorate",
        [recursion_guard, recursion_guard(), recursion_guard(recursion="skip")],
        ids=["bare", "empty", "skip"],
    )
    def test_it_may_be_written_with_and_without_parentheses(self, decorate: Any) -> None:
        """All forms give a function with the name, the result and the arguments of the old one."""

        def function(sender: Any, instance: Item, **kwargs: Any) -> tuple[Any, ...]:
            """Say something."""
            return sender, instance, kwargs

        item = Item(pk=1)

        guarded = decorate(function)

        assert guarded(Item, instance=item, more=1) == (Item, item, {"more": 1})
        assert (guarded.__name__, guarded.__doc__) == ("function", "Say something.")
        assert guarded.__wrapped__ is function

    def test_a_skipped_call_returns_none(self) -> None:
        """The call that is skipped returns None, whoever makes it."""
        answers: list[Any] = []

        @recursion_guard
        def again(instance: Item, **kwargs: Any) -> str:
            answers.append(again(instance=Item(pk=1)))
            return "called"

        answers.append(again(instance=Item(pk=1)))

        assert answers == [None, "called"]

    def test_the_row_may_be_given_by_position(self) -> None:
        """A direct call ``f(Item, item)`` is guarded by the first instance among its arguments."""
        calls: list[Any] = []

        @recursion_guard
        def again(sender: Any, instance: Item) -> None:
            calls.append(instance.pk)
            again(Item, Item(pk=instance.pk))

        again(Item, Item(pk=1))

        assert calls == [1]

    def test_a_call_without_a_row_is_not_guarded(self) -> None:
        """Without a row there is nothing to know the work by."""
        calls: list[int] = []

        @recursion_guard
        def count(number: int, **kwargs: Any) -> None:
            calls.append(number)
            if number < 3:
                count(number + 1)

        count(1)

        assert calls == [1, 2, 3]

    def test_the_same_key_on_two_databases_is_two_rows(self) -> None:
        """The argument ``using``, else the instance's database, tells rows apart."""
        calls: list[str] = []

        @recursion_guard
        def copy(instance: Item, using: str, **kwargs: Any) -> None:
            calls.append(using)
            copy(instance=instance, using="other")

        copy(instance=Item(pk=1), using="default")

        assert calls == ["default", "other"]

    def test_an_exception_ends_the_guard(self) -> None:
        """After an exception the receiver runs again."""
        calls: list[int] = []

        @recursion_guard
        def fail(instance: Item, **kwargs: Any) -> None:
            calls.append(1)
            raise ZeroDivisionError

        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                fail(instance=Item(pk=1))

        assert calls == [1, 1]
        assert lineage.current() == ()

    def test_it_may_stand_below_a_decorator_of_ours(self, db: None) -> None:
        """With our ``receiver`` above it the function runs once, not never."""
        calls: list[str] = []

        @receiver(post_save, sender=Item)
        @recursion_guard
        def saving(instance: Item, **kwargs: Any) -> None:
            calls.append("saving")
            instance.save()

        Item.objects.create()

        assert calls == ["saving"]

    def test_it_follows_the_work_over_the_commit(self, transactional_db: None) -> None:
        """What a receiver of ours does after the commit is the work of the one that caused it."""
        calls: list[str] = []

        @native_receiver(post_save, sender=Item)
        @recursion_guard
        def at_once(instance: Item, **kwargs: Any) -> None:
            calls.append("at once")
            Tag.objects.create()

        @receiver_on_commit(post_save, sender=Tag)
        def later(**kwargs: Any) -> None:
            calls.append("later")
            Item.objects.get().save()

        with transaction.atomic():
            Item.objects.create()

        assert calls == ["at once", "later"]

    def test_two_receivers_of_one_name_are_two(self) -> None:
        """Closures made by one factory do not guard each other."""
        signal = Signal()
        calls: list[str] = []

        def make(name: str) -> Callable[..., None]:
            @recursion_guard
            def made(instance: Item, **kwargs: Any) -> None:
                calls.append(name)
                if len(calls) < 10:
                    signal.send(None, instance=instance)

            return made

        for name in ("one", "two"):
            signal.connect(make(name), weak=False)

        signal.send(None, instance=Item(pk=1))

        assert calls == ["one", "two", "two", "one"]

    def test_bound_methods_of_two_objects_are_two_receivers(self) -> None:
        """A guard put on a bound method is that object's alone."""
        signal = Signal()
        calls: list[str] = []

        class Receiver:
            def __init__(self, name: str) -> None:
                self.name = name

            def receive(self, instance: Item, **kwargs: Any) -> None:
                calls.append(self.name)
                if self.name == "one":
                    signal.send(None, instance=instance)

        for name in ("one", "two"):
            signal.connect(recursion_guard(Receiver(name).receive), weak=False)

        signal.send(None, instance=Item(pk=1))

        assert calls == ["one", "two", "two"]


class TestAsync:
    """``@recursion_guard`` on ``async def`` receivers."""

    @pytest.mark.parametrize("form", ["send", "asend", "asend in a loop"])
    def test_a_native_async_receiver_that_saves_its_row(
        self, transactional_db: None, form: str
    ) -> None:
        """It runs once, over all its awaits."""
        signal = Signal()
        calls: list[Any] = []

        @native_receiver([post_save, signal])
        @recursion_guard
        async def saving(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.pk)
            await asyncio.sleep(0)
            await instance.asave()

        item = Item(pk=1)
        send: dict[str, Callable[[], Any]] = {
            "send": lambda: signal.send(None, instance=item),
            "asend": lambda: async_to_sync(signal.asend)(None, instance=item),
            "asend in a loop": lambda: asyncio.run(self.asend(signal, item)),
        }

        Item.objects.bulk_create([item])
        send[form]()

        assert calls == [1]
        assert lineage.current() == ()

    @staticmethod
    async def asend(signal: Signal, item: Item) -> None:
        await signal.asend(None, instance=item)
        # Without a synchronous caller, the thread of asgiref's own has a connection of its own.
        await sync_to_async(connections.close_all)()

    def test_async_receivers_running_side_by_side(self) -> None:
        """Two receivers that Django runs at once are not each other's cause, nor is it left over.

        Django 6.1 runs them in one shared context: the end of one used to end the chain of the
        other, and left its own behind in the caller's context.
        """
        signal = Signal()
        chains: dict[str, list[int]] = {"first": [], "second": []}

        async def main() -> None:
            second_began, first_ended = asyncio.Event(), asyncio.Event()

            @recursion_guard
            async def first(**kwargs: Any) -> None:
                chains["first"].append(len(lineage.current()))
                await second_began.wait()
                chains["first"].append(len(lineage.current()))
                first_ended.set()

            @recursion_guard
            async def second(**kwargs: Any) -> None:
                chains["second"].append(len(lineage.current()))
                second_began.set()
                await first_ended.wait()
                await asyncio.sleep(0)
                chains["second"].append(len(lineage.current()))

            signal.connect(first)
            signal.connect(second)
            await signal.asend(None, instance=Item(pk=1))
            chains["caller"] = [len(lineage.current())]

        asyncio.run(main())

        assert chains == {"first": [1, 1], "second": [1, 1], "caller": [0]}

    def test_blocks_of_async_receivers_side_by_side(self) -> None:
        """Blocks that overlap in a shared context end without leaving anything behind."""
        signal = Signal()
        left: list[lineage.Chain] = []

        async def main() -> None:
            second_began, first_ended = asyncio.Event(), asyncio.Event()

            async def first(instance: Item, **kwargs: Any) -> None:
                with recursion_guard(module_guarded, instance):
                    await second_began.wait()
                first_ended.set()

            async def second(instance: Item, **kwargs: Any) -> None:
                with recursion_guard(module_guarded, instance):
                    second_began.set()
                    await first_ended.wait()
                    module_guarded(None, instance=instance)

            signal.connect(first)
            signal.connect(second)
            await signal.asend(None, instance=Item(pk=1))
            left.append(lineage.current())

        asyncio.run(main())

        assert calls_of_module == []
        assert left == [()]

    def test_it_returns_what_the_receiver_returns(self) -> None:
        """The result is a coroutine function, with the result or None."""
        answers: list[Any] = []

        @recursion_guard
        async def again(instance: Item, **kwargs: Any) -> str:
            answers.append(await again(instance=instance))
            return "awaited"

        async def main() -> None:
            answers.append(await again(instance=Item(pk=1)))

        asyncio.run(main())

        assert answers == [None, "awaited"]

    def test_an_exception_and_a_cancellation_reach_the_receiver(self) -> None:
        """What the receiver raises is raised, and a cancelled caller cancels it."""
        seen: list[str] = []

        @recursion_guard
        async def fail(instance: Item, **kwargs: Any) -> None:
            raise ZeroDivisionError

        async def main() -> None:
            began = asyncio.Event()

            @recursion_guard
            async def wait(instance: Item, **kwargs: Any) -> None:
                began.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    seen.append("cancelled")
                    raise

            with pytest.raises(ZeroDivisionError):
                await fail(instance=Item(pk=1))
            task = asyncio.create_task(wait(instance=Item(pk=1)))
            await began.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(main())

        assert seen == ["cancelled"]
        assert lineage.current() == ()


def local_receiver(decorate: Callable[..., Any]) -> Callable[..., Any]:
    def local(sender: Any, instance: Item, **kwargs: Any) -> str:
        calls_of_module.append(instance.pk)
        return "called"

    decorated: Callable[..., Any] = decorate(local)
    return decorated


class Receiver:
    def receive(self, sender: Any, instance: Item, **kwargs: Any) -> str:
        calls_of_module.append(instance.pk)
        return "called"

    def __call__(self, sender: Any, instance: Item, **kwargs: Any) -> str:
        return self.receive(sender, instance)


def wrapped_by_another(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


NATIVE: dict[str, Callable[[], Callable[..., Any]]] = {
    "module": lambda: module_guarded,
    "local": lambda: local_receiver(recursion_guard),
    "lambda": lambda: recursion_guard(
        lambda sender, instance, **kwargs: calls_of_module.append(instance.pk)
    ),
    "bound method": lambda: recursion_guard(Receiver().receive),
    "callable object": lambda: recursion_guard(Receiver()),
    "guarded, then wrapped": lambda: wrapped_by_another(local_receiver(recursion_guard)),
    "wrapped, then guarded": lambda: recursion_guard(local_receiver(wrapped_by_another)),
}
OURS: dict[str, Callable[[], Callable[..., Any]]] = {
    "module": lambda: module_plain,
    "local": lambda: local_receiver(lambda function: function),
    "bound method": lambda: Receiver().receive,
    "callable object": Receiver,
    "guarded": lambda: local_receiver(recursion_guard),
}


class TestBlock:
    """``with recursion_guard(function, instance)``."""

    def check(self, signal: Signal, function: Callable[..., Any]) -> None:
        with recursion_guard(function, Item(pk=1)):
            signal.send(None, instance=Item(pk=1))
            signal.send(None, instance=Item(pk=2))
        signal.send(None, instance=Item(pk=1))

        assert calls_of_module == [2, 1]

    @pytest.mark.parametrize("kind", NATIVE)
    def test_a_guarded_native_receiver_is_not_run_for_the_row(self, kind: str) -> None:
        """In the block it is not run for that row, for others it is; after it, for all."""
        signal = Signal()
        function = NATIVE[kind]()
        signal.connect(function, weak=False)

        self.check(signal, function)

    @pytest.mark.parametrize("kind", OURS)
    def test_a_receiver_of_ours_is_not_run_for_the_row(self, kind: str) -> None:
        """The same holds for every receiver of our decorators."""
        signal = Signal()
        function = OURS[kind]()
        receiver(signal)(function)

        self.check(signal, function)

    def test_other_receivers_still_run(self) -> None:
        """Only the named receiver is guarded."""
        signal = Signal()
        signal.connect(module_guarded)
        other = local_receiver(receiver(signal))
        item = Item(pk=1)

        with recursion_guard(other, item):
            answers = signal.send(None, instance=item)

        assert answers[0] == (module_guarded, "called")
        assert [answer for _, answer in answers] == ["called", None]

    def test_a_flag_on_the_instance_in_one_line(self, db: None) -> None:
        """An unsaved instance that is saved in the block is the same row before and after."""
        calls: list[Any] = []

        @receiver(post_save, sender=Item)
        def hear(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.pk)

        item = Item()

        with recursion_guard(hear, item):
            item.save()
            item.save()
        item.save()

        assert calls == [item.pk]

    def test_it_follows_the_work_over_the_commit(self, transactional_db: None) -> None:
        """What is sent in the block is not delivered after it, what was sent before is."""
        calls: list[str] = []

        @receiver_on_commit(post_save, sender=Item)
        def later(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)

        with transaction.atomic():
            item = Item.objects.create(name="before")
            with recursion_guard(later, item):
                item.name = "inside"
                item.save()

        assert calls == ["before"]

    def test_raise(self) -> None:
        """``recursion="raise"`` makes running the receiver in the block an error."""
        with (
            recursion_guard(module_guarded, Item(pk=1), recursion="raise"),
            pytest.raises(RecursionLimitError, match="module_guarded"),
        ):
            module_guarded(None, instance=Item(pk=1))

        assert calls_of_module == []

    @pytest.mark.parametrize("recursion", ["skip", "raise", "allow"])
    def test_the_block_goes_before_what_the_receiver_says(self, recursion: str) -> None:
        """A block inside the receiver's own work is obeyed, also with ``recursion="allow"``."""
        signal = Signal()
        calls: list[int] = []

        @receiver(signal, recursion=recursion)
        def again(instance: Item, **kwargs: Any) -> None:
            calls.append(1)
            with recursion_guard(again, instance):
                signal.send(None, instance=instance)

        signal.send(None, instance=Item(pk=1))

        assert calls == [1]

    def test_blocks_nest_and_an_exception_ends_them(self) -> None:
        """The inner block's end leaves the outer one in force, an exception leaves none."""
        item = Item(pk=1)

        def work() -> None:
            with recursion_guard(module_guarded, item):
                with recursion_guard(module_guarded, item):
                    pass
                module_guarded(None, instance=item)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        inside = list(calls_of_module)
        module_guarded(None, instance=item)

        assert inside == []
        assert calls_of_module == [1]

    def test_other_threads_and_tasks_are_not_guarded(self) -> None:
        """A block holds for its own thread, and its own task and those it starts."""
        item = Item(pk=1)

        def in_thread() -> Any:
            with ThreadPoolExecutor(max_workers=1) as pool:
                return pool.submit(module_guarded, None, instance=item).result()

        async def inside(entered: asyncio.Event, done: asyncio.Event) -> list[Any]:
            async def child() -> Any:
                return module_guarded(None, instance=item)

            with recursion_guard(module_guarded, item):
                entered.set()
                await done.wait()
                return [await child(), await asyncio.create_task(child()), in_thread()]

        async def outside(entered: asyncio.Event, done: asyncio.Event) -> Any:
            await entered.wait()
            answer = module_guarded(None, instance=item)
            done.set()
            return answer

        async def main() -> list[Any]:
            events = asyncio.Event(), asyncio.Event()
            return list(await asyncio.gather(inside(*events), outside(*events)))

        assert asyncio.run(main()) == [[None, None, "called"], "called"]

    def test_two_threads_guard_one_row_each_for_itself(self) -> None:
        """Blocks of two threads do not end each other."""
        item = Item(pk=1)
        both_in, one_out = threading.Barrier(2), threading.Event()

        def first() -> Any:
            with recursion_guard(module_guarded, item):
                both_in.wait(5)
            answer = module_guarded(None, instance=item)
            one_out.set()
            return answer

        def second() -> Any:
            with recursion_guard(module_guarded, item):
                both_in.wait(5)
                assert one_out.wait(5)
                return module_guarded(None, instance=item)

        with ThreadPoolExecutor(max_workers=2) as pool:
            answers = [future.result() for future in [pool.submit(first), pool.submit(second)]]

        assert answers == ["called", None]


class TestPatterns:
    """What is written by hand today: the fault of each, and the same with the guard."""

    def test_update_instead_of_save(self, db: None) -> None:
        """``QuerySet.update()`` ends the recursion and silences every other receiver."""

        def by_hand(instance: Item, **kwargs: Any) -> None:
            Item.objects.filter(pk=instance.pk).update(score=instance.score + 1)

        @recursion_guard
        def guarded(instance: Item, **kwargs: Any) -> None:
            instance.score += 1
            instance.save()

        with isolated_receivers(), capture_signals(post_save) as without:
            post_save.connect(by_hand, sender=Item)
            Item.objects.create(score=1)
        post_save.connect(guarded, sender=Item)
        with capture_signals(post_save) as heard:
            Item.objects.create(score=1)

        assert [each.instance.score for each in without] == [1]
        assert [each.instance.score for each in heard] == [1, 2]
        assert list(Item.objects.values_list("score", flat=True)) == [2, 2]

    def test_disconnect_and_reconnect(self) -> None:
        """Disconnecting is for all threads: another one's event is lost. The guard loses none."""
        signal = Signal()
        heard: list[str] = []

        def in_thread(name: str) -> None:
            thread = threading.Thread(
                target=signal.send, args=[None], kwargs={"instance": Item(pk=2), "name": name}
            )
            thread.start()
            thread.join()

        def by_hand(instance: Item, name: str, **kwargs: Any) -> None:
            heard.append(name)
            if name == "first":
                signal.disconnect(by_hand)
                signal.send(None, instance=instance, name=name)
                in_thread("by hand")
                signal.connect(by_hand)

        @recursion_guard
        def guarded(instance: Item, name: str, **kwargs: Any) -> None:
            heard.append(name)
            if name == "second":
                signal.send(None, instance=instance, name=name)
                in_thread("guarded")

        with isolated_receivers():
            signal.connect(by_hand)
            signal.send(None, instance=Item(pk=1), name="first")
        signal.connect(guarded)
        signal.send(None, instance=Item(pk=1), name="second")

        assert heard == ["first", "second", "guarded"]

    def test_a_flag_on_the_instance(self, db: None) -> None:
        """A flag is lost when the work loads the row anew. The guard knows the row."""
        calls: list[str] = []

        def by_hand(instance: Any, **kwargs: Any) -> None:
            calls.append("by hand")
            if getattr(instance, "_flag", False) or len(calls) >= 4:
                return
            instance._flag = True
            Item.objects.get(pk=instance.pk).save()

        @recursion_guard
        def guarded(instance: Item, **kwargs: Any) -> None:
            calls.append("guarded")
            Item.objects.get(pk=instance.pk).save()

        with isolated_receivers():
            post_save.connect(by_hand, sender=Item)
            Item.objects.create()
        post_save.connect(guarded, sender=Item)
        Item.objects.create()

        assert calls == ["by hand"] * 4 + ["guarded"]


class TestErrors:
    """What the guard refuses, and what it says to do."""

    @pytest.mark.parametrize("bad", ["allow", "stop", None])
    def test_an_unknown_mode(self, bad: Any) -> None:
        """A guard that allows recursion is none."""
        with pytest.raises(InvalidReceiverError, match=f"^recursion_.* has recursion={bad!r}.*Use"):
            recursion_guard(recursion=bad)
        with pytest.raises(InvalidReceiverError, match="module_plain"):
            recursion_guard(module_plain, Item(pk=1), recursion=bad)

    def test_what_is_not_callable(self) -> None:
        """Only functions are guarded."""
        with pytest.raises(InvalidReceiverError, match=r"'post_save'.*not callable"):
            recursion_guard("post_save")  # type: ignore[call-overload]

    def test_a_block_for_a_function_that_obeys_no_guard(self) -> None:
        """A block around a receiver that nobody guards would do nothing."""

        def unguarded(**kwargs: Any) -> None: ...

        with pytest.raises(
            InvalidReceiverError, match=r"unguarded.*obeys no recursion guard.*mute"
        ):
            recursion_guard(unguarded, Item(pk=1))

    @pytest.mark.parametrize("bad", [None, "item", Item, 7])
    def test_a_block_for_what_is_no_row(self, bad: Any) -> None:
        """A missing row, ``None`` for one, is named, not taken for a decorator's use."""
        with pytest.raises(InvalidReceiverError, match=r"is guarded for .*model instance"):
            recursion_guard(module_guarded, bad)

    @pytest.mark.parametrize("uid", [None, "uid"])
    def test_the_wrong_order_of_decorators(self, uid: str | None) -> None:
        """Above ``@receiver`` the guard would stand beside what is connected."""
        with pytest.raises(InvalidReceiverError, match="below the @receiver line"):

            @recursion_guard
            @native_receiver(post_save, sender=Item, dispatch_uid=uid)
            def wrong(**kwargs: Any) -> None: ...

    def test_the_wrong_order_above_a_decorator_of_ours(self) -> None:
        """Above ours the guard is refused too."""
        with pytest.raises(InvalidReceiverError, match="below the @receiver line"):

            @recursion_guard
            @receiver(post_save, sender=Item, dispatch_uid="uid")
            def wrong(**kwargs: Any) -> None: ...

    def test_errors_leave_nothing_behind(self) -> None:
        """A guard that was refused guards nothing."""

        @contextmanager
        def block() -> Iterator[None]:
            with recursion_guard(module_guarded, None):  # type: ignore[call-overload]
                yield

        with pytest.raises(InvalidReceiverError), block():
            pass

        assert lineage.current() == ()


class TestTaskReceiversWithoutAName:
    def test_are_known_by_their_task_name(self) -> None:
        """A lambda is guarded in the worker, where its id is another, and by a block."""
        function = lambda **kwargs: None  # noqa: E731
        receiver_task(post_save, sender=Item, name="lambda task")(function)

        assert_connected(function, post_save, Item)
        with recursion_guard(function, Item(pk=1)):
            receivers_of_the_block = {link.receiver for link in lineage.current()}

        assert registry["lambda task"].guard_key == "lambda task"
        assert "lambda task" in receivers_of_the_block


class TestFunctionsOfOneLine:
    @pytest.mark.django_db
    def test_do_not_guard_each_other(self) -> None:
        """Receivers defined in a loop have one name and one line, and are several all the same."""
        from tests.testapp import handlers_in_a_loop

        Item.objects.create(name="a")

        assert handlers_in_a_loop.ran == ["first", "second", "second"]


class TestBlockThatHasEnded:
    @pytest.mark.django_db(transaction=True)
    def test_holds_no_longer_in_tasks_that_it_started(self) -> None:
        """A task that goes on after the block is not part of it."""
        names: list[str] = []

        def handle(instance: Item, **kwargs: Any) -> None:
            names.append(instance.name)

        signal = Signal()
        receiver(signal)(handle)
        item = Item(pk=1, name="a")

        async def main() -> None:
            ended = asyncio.Event()

            async def later() -> None:
                await ended.wait()
                await signal.asend(None, instance=item)

            with recursion_guard(handle, item):
                task = asyncio.create_task(later())
                await asyncio.sleep(0)
            ended.set()
            await task

        asyncio.run(main())

        assert names == ["a"]
