"""Muting: who is kept from being called, where, for how long, and what is left alone."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import subprocess
import sys
import textwrap
import threading
import unittest
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import factory
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, transaction
from django.db.models import signals
from django.db.models.signals import post_save, pre_save
from django.dispatch import Signal
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from signals_plus import (
    live,
    mute_signals,
    receiver,
    receiver_on_commit,
    recursion_guard,
)
from signals_plus import testing as signals_plus_testing
from signals_plus.exceptions import InvalidReceiverError
from tests.testapp.models import AbstractItem, Item, ItemProxy, Tag, UuidItem


def answers(signal: Signal, sender: Any = None, **kwargs: Any) -> list[Any]:
    """Send the signal and return what its receivers returned."""
    return [answer for _, answer in signal.send(sender, **kwargs)]


def answering(signal: Signal, answer: Any, sender: Any = None) -> Callable[..., Any]:
    """Connect a receiver that returns ``answer``, by Django's own means."""

    def receive(**kwargs: Any) -> Any:
        return answer

    signal.connect(receive, sender=sender, weak=False)
    return receive


def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in another thread and return what it returned."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(function).result()


@pytest.fixture
def signal() -> Signal:
    """A signal with one receiver, connected by Django's own means."""
    signal = Signal()
    answering(signal, "native")
    return signal


async def collect_asend(signal: Signal) -> list[Any]:
    return [answer for _, answer in await signal.asend(None)]


async def collect_asend_robust(signal: Signal) -> list[Any]:
    return [answer for _, answer in await signal.asend_robust(None)]


FORMS: dict[str, Callable[[Signal], list[Any]]] = {
    "send": answers,
    "send_robust": lambda signal: [answer for _, answer in signal.send_robust(None)],
    "asend": async_to_sync(collect_asend),
    "asend_robust": async_to_sync(collect_asend_robust),
}


class TestBlock:
    """``with mute_signals(...)`` in one thread."""

    @pytest.mark.parametrize("form", FORMS)
    def test_receivers_of_every_kind_are_muted_in_every_form_of_sending(self, form: str) -> None:
        """Native, async and decorated receivers are silent in the block and back after it."""
        signal = Signal()
        answering(signal, "native")

        async def native_async(**kwargs: Any) -> str:
            return "native async"

        signal.connect(native_async, weak=False)

        @receiver(signal)
        def ours(**kwargs: Any) -> str:
            return "ours"

        @receiver(signal)
        async def ours_async(**kwargs: Any) -> str:
            return "ours async"

        with mute_signals(signal):
            inside = FORMS[form](signal)
        after = FORMS[form](signal)

        assert inside == []
        assert after == ["native", "ours", "ours async", "native async"]

    def test_other_signals_are_not_muted(self, signal: Signal) -> None:
        """Only the named signals are muted."""
        other = Signal()
        answering(other, "other")

        with mute_signals(signal):
            heard = answers(other)

        assert heard == ["other"]

    def test_several_signals_are_muted(self, signal: Signal) -> None:
        """All the named signals are muted."""
        other = Signal()
        answering(other, "other")

        with mute_signals(signal, other):
            heard = answers(signal) + answers(other)

        assert heard == []

    def test_has_listeners_says_no(self, signal: Signal) -> None:
        """A muted signal has no listeners, so that Django skips work done only for them."""
        with mute_signals(signal):
            inside = signal.has_listeners(None)

        assert not inside
        assert signal.has_listeners(None)

    def test_the_list_of_receivers_is_not_touched(self, signal: Signal) -> None:
        """Muting never swaps ``signal.receivers``, which every thread shares."""
        before = signal.receivers
        content = list(before)

        with mute_signals(signal):
            inside = signal.receivers

        assert inside is before
        assert signal.receivers is before
        assert before == content

    def test_a_signal_that_nobody_muted_is_not_hooked(self, signal: Signal) -> None:
        """A signal never touched has no hook, and pays nothing."""
        other = Signal()

        mute_signals(other)
        with mute_signals(other):
            pass

        assert "_live_receivers" not in vars(signal)
        assert "_live_receivers" in vars(other)

    def test_an_exception_ends_the_mute(self, signal: Signal) -> None:
        """A block left by an exception leaves nothing muted, and the exception goes on."""
        with pytest.raises(ZeroDivisionError), mute_signals(signal):
            1 / 0  # noqa: B018

        assert answers(signal) == ["native"]

    def test_a_return_ends_the_mute(self, signal: Signal) -> None:
        """A block left by ``return`` leaves nothing muted."""

        def work() -> list[Any]:
            with mute_signals(signal):
                return answers(signal)

        inside = work()

        assert inside == []
        assert answers(signal) == ["native"]

    def test_the_exit_of_an_inner_block_does_not_unmute_the_outer_one(self, signal: Signal) -> None:
        """Blocks nest: a signal is muted until the last block on it ends."""
        with mute_signals(signal):
            with mute_signals(signal):
                pass
            heard = answers(signal)

        assert heard == []
        assert answers(signal) == ["native"]

    def test_the_same_object_entered_twice(self, signal: Signal) -> None:
        """An object entered again inside its own block loses no receiver for good."""
        mute = mute_signals(signal)

        with mute:
            with mute:
                pass
            heard = answers(signal)

        assert heard == []
        assert answers(signal) == ["native"]

    def test_the_same_object_entered_again_later(self, signal: Signal) -> None:
        """An object may be kept and entered as often as one likes."""
        mute = mute_signals(signal)

        for _ in range(2):
            with mute:
                assert answers(signal) == []
            assert answers(signal) == ["native"]

    def test_blocks_left_out_of_order(self, signal: Signal) -> None:
        """Overlapping blocks end when they end, whichever began first."""
        first, second = mute_signals(signal), mute_signals(signal)

        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        between = answers(signal)
        second.__exit__(None, None, None)

        assert between == []
        assert answers(signal) == ["native"]

    def test_enter_returns_the_object(self, signal: Signal) -> None:
        """``with mute_signals(...) as mute`` gives the object."""
        mute = mute_signals(signal)

        with mute as entered:
            pass

        assert entered is mute

    def test_receivers_connected_inside_are_called_and_stay_connected(self, signal: Signal) -> None:
        """Connecting works as ever: the block mutes those who were there when it began."""
        with mute_signals(signal):
            answering(signal, "new")
            inside = answers(signal)
            with mute_signals(signal):
                nested = answers(signal)

        assert inside == ["new"]
        assert nested == []
        assert answers(signal) == ["native", "new"]

    def test_our_receivers_connected_inside_are_called(self, signal: Signal) -> None:
        """The same holds for our decorators, and for a receiver that is connected again."""

        @receiver(signal)
        def ours(**kwargs: Any) -> str:
            return "ours"

        with mute_signals(signal):
            before = answers(signal)
            signal.disconnect(ours)
            receiver(signal, priority=1)(ours)
            inside = answers(signal)

        assert before == []
        assert inside == ["ours"]
        assert answers(signal) == ["ours", "native"]

    def test_a_receiver_connected_inside_to_another_sender_stays_muted_for_the_first(self) -> None:
        """What counts is the connection, not the function."""
        signal, first, second = Signal(), object(), object()
        ran: list[object] = []

        def function(sender: object, **kwargs: Any) -> None:
            ran.append(sender)

        signal.connect(function, sender=first)
        with mute_signals(signal):
            signal.connect(function, sender=second)
            signal.send(first)
            signal.send(second)

        assert ran == [second]

    def test_receivers_that_are_named_are_muted_whenever_they_are_connected(
        self, signal: Signal
    ) -> None:
        """A receiver named by ``receivers=`` is muted although it is connected in the block."""

        def named(**kwargs: Any) -> str:
            return "named"

        with mute_signals(signal, receivers=[named]):
            signal.connect(named)
            inside = answers(signal)

        assert inside == ["native"]
        assert answers(signal) == ["native", "named"]

    def test_receivers_disconnected_inside_stay_disconnected(self) -> None:
        """``disconnect`` in the block finds the receiver, and it stays away after the block."""
        signal = Signal()
        going = answering(signal, "going")
        answering(signal, "staying")

        with mute_signals(signal):
            found = signal.disconnect(going)

        assert found is True
        assert answers(signal) == ["staying"]

    def test_our_receivers_disconnected_inside_stay_disconnected(self, signal: Signal) -> None:
        """The same holds for receivers of our decorators."""

        @receiver(signal)
        def ours(**kwargs: Any) -> str:
            return "ours"

        with mute_signals(signal):
            found = signal.disconnect(ours)

        assert found is True
        assert answers(signal) == ["native"]

    def test_weak_receivers_still_die(self) -> None:
        """Muting holds no receiver alive."""
        signal = Signal()

        def receive(**kwargs: Any) -> str:
            return "weak"

        signal.connect(receive)
        with mute_signals(signal):
            answers(signal)
            del receive

        assert answers(signal) == []
        assert answers(signal) == []

    def test_testing_exports_the_same(self) -> None:
        """``signals_plus.testing.mute_signals`` is the one of the package."""
        assert signals_plus_testing.mute_signals is mute_signals


class TestSenders:
    """``senders=``: only what these senders send is muted."""

    def test_only_the_named_sender_is_muted(self) -> None:
        """Receivers hear other senders."""
        signal = Signal()
        answering(signal, "any")
        quiet, loud = object(), object()

        with mute_signals(signal, senders=[quiet]):
            from_quiet, from_loud = answers(signal, quiet), answers(signal, loud)

        assert from_quiet == []
        assert from_loud == ["any"]

    @pytest.mark.parametrize("sender", [Item, "testapp.Item", "testapp.item"])
    def test_a_model_is_named_by_class_or_by_label(self, sender: Any) -> None:
        """A lazy ``"app.Model"`` names the model class."""
        answering(post_save, "any")

        with mute_signals(post_save, senders=[sender]):
            of_item, of_tag = answers(post_save, Item), answers(post_save, Tag)

        assert of_item == []
        assert of_tag == ["any"]

    def test_a_proxy_is_another_sender(self) -> None:
        """Senders are compared as Django compares them: a proxy is not its model."""
        answering(post_save, "any")

        with mute_signals(post_save, senders=[Item]):
            heard = answers(post_save, ItemProxy)

        assert heard == ["any"]

    def test_a_string_may_be_the_sender_of_a_custom_signal(self) -> None:
        """A string that names no model is a sender like any other."""
        signal = Signal()
        answering(signal, "any")

        with mute_signals(signal, senders=["import.done", "import"]):
            inside = answers(signal, "import.done") + answers(signal, "import")
            other = answers(signal, "other")

        assert inside == []
        assert other == ["any"]

    def test_senders_alone_mute_every_signal_they_send(self) -> None:
        """Without signals, everything the sender sends is muted, on new signals too."""
        answering(post_save, "saved")
        sender = Item

        with mute_signals(senders=[sender]):
            signal = Signal()
            answering(signal, "custom")
            inside = answers(post_save, sender) + answers(signal, sender)
            other = answers(post_save, Tag)

        assert inside == []
        assert other == ["saved"]

    def test_a_sender_of_none_is_muted_by_the_signal_alone(self, signal: Signal) -> None:
        """Signals sent with ``sender=None`` are not those of a named sender."""
        with mute_signals(signal, senders=[Item]):
            heard = answers(signal)

        assert heard == ["native"]


class Counter:
    """Receivers that are no plain functions."""

    def method(self, **kwargs: Any) -> str:
        return "method"

    def __call__(self, **kwargs: Any) -> str:
        return "object"


def module_receiver(**kwargs: Any) -> str:
    return "partial"


def guarded_receiver() -> Callable[..., Any]:
    @recursion_guard
    def guarded(**kwargs: Any) -> str:
        return "guarded"

    return guarded


RECEIVERS: dict[str, Callable[[], Callable[..., Any]]] = {
    "function": lambda: lambda **kwargs: "lambda",
    "bound method": lambda: Counter().method,
    "callable object": Counter,
    "partial": lambda: functools.partial(module_receiver),
    "guarded": guarded_receiver,
}


class TestReceivers:
    """``receivers=``: only these receivers are muted."""

    @pytest.mark.parametrize("kind", RECEIVERS)
    @pytest.mark.parametrize("ours", [False, True], ids=["native", "ours"])
    def test_one_receiver_of_any_kind_is_muted(self, signal: Signal, kind: str, ours: bool) -> None:
        """The receiver as it was connected or decorated is muted, and no other one."""
        function = RECEIVERS[kind]()
        if ours:
            receiver(signal)(function)
        else:
            signal.connect(function, weak=False)

        with mute_signals(signal, receivers=[function]):
            inside = answers(signal)

        assert inside == ["native"]
        assert len(answers(signal)) == 2

    def test_a_method_of_another_object_is_not_muted(self) -> None:
        """A bound method is muted for its own object only."""
        signal = Signal()
        muted, other = Counter(), Counter()
        signal.connect(muted.method, weak=False)
        signal.connect(other.method, weak=False)

        with mute_signals(signal, receivers=[muted.method]):
            heard = [found for found, _ in signal.send(None)]

        assert heard == [other.method]

    def test_a_receiver_connected_with_a_dispatch_uid(self, signal: Signal) -> None:
        """What it is connected under makes no difference."""

        def native(**kwargs: Any) -> None: ...

        signal.connect(native, weak=False, dispatch_uid="native")

        @receiver(signal, dispatch_uid="ours")
        def ours(**kwargs: Any) -> None: ...

        with mute_signals(signal, receivers=[native, ours]):
            heard = answers(signal)

        assert heard == ["native"]

    def test_receivers_alone_are_muted_on_every_signal(self) -> None:
        """Without signals, a receiver is muted wherever it is connected."""
        first, second = Signal(), Signal()
        function = answering(first, "one")
        second.connect(function, weak=False)
        answering(second, "two")

        with mute_signals(receivers=[function]):
            inside = answers(first) + answers(second)

        assert inside == ["two"]
        assert answers(first) + answers(second) == ["one", "one", "two"]

    def test_receivers_alone_are_muted_on_a_signal_made_in_the_block(self) -> None:
        """A signal that did not exist when the block began obeys it."""

        def function(**kwargs: Any) -> str:
            return "muted"

        with mute_signals(receivers=[function]):
            signal = Signal()
            signal.connect(function, weak=False)
            inside = answers(signal)

        assert inside == []
        assert answers(signal) == ["muted"]

    def test_receivers_are_muted_for_the_named_senders_only(self) -> None:
        """All that is given has to match."""
        signal = Signal()
        function = answering(signal, "muted")
        answering(signal, "other")
        quiet, loud = object(), object()

        with mute_signals(signal, senders=[quiet], receivers=[function]):
            from_quiet, from_loud = answers(signal, quiet), answers(signal, loud)

        assert from_quiet == ["other"]
        assert from_loud == ["muted", "other"]

    @pytest.mark.parametrize("ours", [False, True], ids=["native", "ours"])
    def test_a_decorated_receiver_is_known_by_what_it_wraps(
        self, signal: Signal, ours: bool
    ) -> None:
        """A function wrapped several times before it was connected is muted by its own name."""

        def function(**kwargs: Any) -> str:
            return "function"

        def wrapping(inner: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(inner)
            def wrapper(**kwargs: Any) -> Any:
                return inner(**kwargs)

            return wrapper

        if ours:
            receiver(signal)(wrapping(wrapping(function)))
        else:
            signal.connect(wrapping(wrapping(function)), weak=False)

        with mute_signals(signal, receivers=[function]):
            heard = answers(signal)

        assert heard == ["native"]

    def test_a_receiver_that_claims_every_attribute(self, signal: Signal) -> None:
        """A receiver that has every attribute one asks for is called and muted as any other."""

        class Claims:
            def __getattr__(self, name: str) -> Any:
                if name.startswith("__"):
                    raise AttributeError(name)
                return self

            def __call__(self, **kwargs: Any) -> str:
                return "claims"

        claims = Claims()
        signal.connect(claims, weak=False)

        with mute_signals(signal, receivers=[claims]):
            inside = answers(signal)

        assert inside == ["native"]
        assert answers(signal) == ["native", "claims"]


class TestOnCommit:
    """Muting stops receivers from being called by the signal, not what waits for the commit."""

    def test_what_was_deferred_before_the_block_runs(self, transactional_db: None) -> None:
        """An event that was sent before the block is delivered though its commit is in it."""
        delivered: list[Any] = []

        @receiver_on_commit(post_save, sender=Item)
        def deliver(instance: Item, **kwargs: Any) -> None:
            delivered.append(instance.name)

        with transaction.atomic():
            Item.objects.create(name="before")
            mute = mute_signals(post_save).__enter__()
            Item.objects.create(name="inside")
        mute.__exit__(None, None, None)

        assert delivered == ["before"]

    def test_what_was_sent_inside_the_block_never_runs(self, transactional_db: None) -> None:
        """An event sent in the block is gone, though its commit comes after the block."""
        delivered: list[Any] = []

        @receiver_on_commit(post_save, sender=Item)
        def deliver(instance: Item, **kwargs: Any) -> None:
            delivered.append(instance.name)

        with transaction.atomic():
            with mute_signals(receivers=[deliver]):
                Item.objects.create(name="inside")
            Item.objects.create(name="after")

        assert delivered == ["after"]


class TestContexts:
    def test_async_with(self, signal: Signal) -> None:
        """In a coroutine either is right: it does nothing that a loop would wait for."""

        async def main() -> tuple[list[Any], list[Any]]:
            async with mute_signals(signal) as muting:
                assert isinstance(muting, mute_signals)
                inside = answers(signal)
            return inside, answers(signal)

        assert asyncio.run(main()) == ([], ["native"])

    """The scope is the context: a thread, an asyncio task, and what they start."""

    def test_other_threads_are_not_muted(self, signal: Signal) -> None:
        """A thread started in the block hears the signal."""
        with mute_signals(signal):
            heard = in_thread(lambda: answers(signal))

        assert heard == ["native"]

    def test_threads_that_mute_at_once_do_not_unmute_each_other(self, signal: Signal) -> None:
        """Of two threads in a block, the one that leaves first unmutes only itself."""
        both_in, one_out = threading.Barrier(2), threading.Event()
        heard: dict[str, list[Any]] = {}

        def first() -> None:
            with mute_signals(signal):
                both_in.wait(5)
            heard["first, left"] = answers(signal)
            one_out.set()

        def second() -> None:
            with mute_signals(signal):
                both_in.wait(5)
                assert one_out.wait(5)
                heard["second, inside"] = answers(signal)

        with ThreadPoolExecutor(max_workers=2) as pool:
            for future in [pool.submit(first), pool.submit(second)]:
                future.result()

        assert heard == {"first, left": ["native"], "second, inside": []}

    def test_one_object_shared_by_many_threads(self, signal: Signal) -> None:
        """An object kept in a module may be entered by many threads at once."""
        mute = mute_signals(signal)
        everywhere = mute_signals(signal, all_threads=True)
        start = threading.Barrier(8)

        def work() -> set[tuple[Any, ...]]:
            start.wait(5)
            heard = set()
            for _ in range(200):
                with mute:
                    heard.add(tuple(answers(signal)))
                with everywhere:
                    heard.add(tuple(answers(signal)))
            return heard

        with ThreadPoolExecutor(max_workers=8) as pool:
            results = [pool.submit(work) for _ in range(8)]
            heard = set().union(*(result.result() for result in results))

        assert heard == {()}
        assert answers(signal) == ["native"]

    def test_other_tasks_are_not_muted(self, signal: Signal) -> None:
        """An asyncio task muting does not mute its siblings."""

        async def muting(inside: asyncio.Event, done: asyncio.Event) -> list[Any]:
            with mute_signals(signal):
                inside.set()
                await done.wait()
                return await collect_asend(signal)

        async def hearing(inside: asyncio.Event, done: asyncio.Event) -> list[Any]:
            await inside.wait()
            heard = await collect_asend(signal)
            done.set()
            return heard

        async def main() -> list[list[Any]]:
            events = asyncio.Event(), asyncio.Event()
            return list(await asyncio.gather(muting(*events), hearing(*events)))

        assert asyncio.run(main()) == [[], ["native"]]

    def test_tasks_started_in_the_block_are_muted_until_it_ends(self, signal: Signal) -> None:
        """A task that outlives the block it was started in hears the signal again."""

        async def child(left: asyncio.Event, first: asyncio.Event) -> list[list[Any]]:
            inside = await collect_asend(signal)
            first.set()
            await left.wait()
            return [inside, await collect_asend(signal)]

        async def main() -> list[list[Any]]:
            left, first = asyncio.Event(), asyncio.Event()
            with mute_signals(signal):
                task = asyncio.create_task(child(left, first))
                await first.wait()
            left.set()
            return await task

        assert asyncio.run(main()) == [[], ["native"]]

    def test_a_child_task_that_enters_the_same_object(self, signal: Signal) -> None:
        """A task that leaves an object it entered again does not unmute its parent."""
        mute = mute_signals(signal)

        async def child() -> None:
            with mute:
                pass

        async def main() -> list[Any]:
            with mute:
                await asyncio.create_task(child())
                return await collect_asend(signal)

        assert asyncio.run(main()) == []
        assert answers(signal) == ["native"]

    def test_functions_run_by_sync_to_async_are_muted(self, signal: Signal) -> None:
        """The thread that asgiref or asyncio runs a function in belongs to the block."""

        async def main() -> list[list[Any]]:
            with mute_signals(signal):
                return [
                    await sync_to_async(answers)(signal),
                    await asyncio.to_thread(answers, signal),
                ]

        assert asyncio.run(main()) == [[], []]

    def test_a_block_left_in_another_context_ends(self, signal: Signal) -> None:
        """Leaving in another context than the one entered raises nothing and unmutes both."""
        mute = mute_signals(signal)
        entered_in, left_in = contextvars.copy_context(), contextvars.copy_context()

        entered_in.run(mute.__enter__)
        inside = entered_in.run(answers, signal)
        left_in.run(mute.__exit__, None, None, None)

        assert inside == []
        assert entered_in.run(answers, signal) == ["native"]
        assert left_in.run(answers, signal) == ["native"]

    def test_an_async_fixture_is_left_in_another_task(self, signal: Signal) -> None:
        """An async generator finished by another task, as async fixtures are, ends the mute."""

        @asynccontextmanager
        async def fixture() -> AsyncIterator[None]:
            with mute_signals(signal):
                yield

        async def main() -> list[list[Any]]:
            manager = fixture()
            await asyncio.create_task(manager.__aenter__())
            await asyncio.create_task(manager.__aexit__(None, None, None))
            return [await collect_asend(signal)]

        assert asyncio.run(main()) == [["native"]]

    def test_a_cancelled_task_ends_the_mute(self, signal: Signal) -> None:
        """Cancelling a task that waits in the block leaves nothing muted."""
        mute = mute_signals(signal)

        async def waiting(inside: asyncio.Event) -> None:
            with mute:
                inside.set()
                await asyncio.Event().wait()

        async def main() -> list[Any]:
            inside = asyncio.Event()
            task = asyncio.create_task(waiting(inside))
            await inside.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return await collect_asend(signal)

        assert asyncio.run(main()) == ["native"]

    def test_ended_blocks_are_not_kept(self, signal: Signal) -> None:
        """A context whose blocks were left elsewhere does not collect them for ever."""
        here, elsewhere = contextvars.copy_context(), contextvars.copy_context()

        for _ in range(3):
            mute = mute_signals(signal)
            here.run(mute.__enter__)
            elsewhere.run(mute.__exit__, None, None, None)

        assert len(here.run(live.rules_here.get)) <= 1

    def test_all_threads_mutes_other_threads(self, signal: Signal) -> None:
        """``all_threads=True`` mutes threads that run already, and unmutes them at its end."""
        muted, ended = threading.Event(), threading.Event()

        def server() -> list[list[Any]]:
            assert muted.wait(5)
            inside = answers(signal)
            checked.set()
            assert ended.wait(5)
            return [inside, answers(signal)]

        checked = threading.Event()
        with ThreadPoolExecutor(max_workers=1) as pool:
            heard = pool.submit(server)
            with mute_signals(signal, all_threads=True):
                muted.set()
                assert checked.wait(5)
                here = answers(signal)
            ended.set()

            assert heard.result() == [[], ["native"]]
        assert here == []
        assert answers(signal) == ["native"]

    def test_all_threads_after_a_mute_of_one_thread(self, signal: Signal) -> None:
        """A signal that was muted for one context before is muted for all threads just so."""
        with mute_signals(signal):
            pass

        with mute_signals(signal, all_threads=True), ThreadPoolExecutor() as pool:
            assert pool.submit(answers, signal).result() == []
        assert answers(signal) == ["native"]

    def test_all_threads_nested_and_left_by_an_exception(self, signal: Signal) -> None:
        """Blocks for all threads nest and end as the others do."""
        mute = mute_signals(signal, all_threads=True)

        inside: list[Any] = []

        def work() -> None:
            with mute:
                with mute:
                    pass
                inside.append(in_thread(lambda: answers(signal)))
                1 / 0  # noqa: B018

        with pytest.raises(ZeroDivisionError):
            work()

        assert inside == [[]]
        assert in_thread(lambda: answers(signal)) == ["native"]


class TestFunctions:
    """``@mute_signals(...)`` on functions."""

    def test_a_function_is_muted_while_it_runs(self, signal: Signal) -> None:
        """The mute lasts as long as the call, again for each call."""

        @mute_signals(signal)
        def work(value: int) -> tuple[int, list[Any]]:
            """Work."""
            return value, answers(signal)

        assert [work(1), work(2)] == [(1, []), (2, [])]
        assert answers(signal) == ["native"]
        assert (work.__name__, work.__doc__) == ("work", "Work.")

    def test_decorating_alone_mutes_nothing(self, signal: Signal) -> None:
        """Nothing is muted before the function is called."""

        @mute_signals(signal)
        def work() -> None: ...

        assert answers(signal) == ["native"]

    def test_a_recursive_function(self, signal: Signal) -> None:
        """An inner call's end does not unmute the outer one."""

        @mute_signals(signal)
        def work(depth: int) -> list[Any]:
            if depth:
                work(depth - 1)
            return answers(signal)

        assert work(2) == []

    def test_an_async_function_is_muted_until_it_is_done(self, signal: Signal) -> None:
        """The mute lasts over every ``await``, and the result stays a coroutine function."""

        @mute_signals(signal)
        async def work() -> list[Any]:
            await asyncio.sleep(0)
            return await collect_asend(signal)

        assert inspect.iscoroutinefunction(work)
        assert asyncio.run(work()) == []
        assert answers(signal) == ["native"]

    def test_an_async_callable_object(self, signal: Signal) -> None:
        """An object whose ``__call__`` is async is muted until it is done."""

        class Work:
            async def __call__(self) -> list[Any]:
                await asyncio.sleep(0)
                return await collect_asend(signal)

        work: Any = mute_signals(signal)(Work())

        assert asyncio.run(work()) == []

    def test_methods_of_every_kind(self, signal: Signal) -> None:
        """The decorator may stand above ``classmethod`` and ``staticmethod`` or below them."""

        class Work:
            @mute_signals(signal)
            def method(self) -> list[Any]:
                return [self.__class__.__name__, *answers(signal)]

            @mute_signals(signal)
            @classmethod
            def above(cls) -> list[Any]:
                return [cls.__name__, *answers(signal)]

            @classmethod
            @mute_signals(signal)
            def below(cls) -> list[Any]:
                return [cls.__name__, *answers(signal)]

            @mute_signals(signal)
            @staticmethod
            def static() -> list[Any]:
                return answers(signal)

        assert Work().method() == Work.above() == Work.below() == ["Work"]
        assert Work.static() == Work().static() == []

    def test_one_object_decorating_and_entered(self, signal: Signal) -> None:
        """One object may decorate several functions and be entered at the same time."""
        quiet = mute_signals(signal)

        @quiet
        def first() -> list[Any]:
            return answers(signal)

        @quiet
        def second() -> list[Any]:
            return first() + answers(signal)

        with quiet:
            inside = second() + answers(signal)

        assert inside == []
        assert answers(signal) == ["native"]

    def test_a_generator_function_is_refused(self, signal: Signal) -> None:
        """Between its yields its caller would be muted, so the block has to be written inside."""

        def generate() -> Iterator[None]:
            yield

        async def generate_async() -> AsyncIterator[None]:
            yield

        for function in (generate, generate_async):
            with pytest.raises(InvalidReceiverError, match=r"^mute_.*generator.*with mute_signals"):
                mute_signals(signal)(function)

    def test_a_block_in_a_generator_mutes_until_it_is_finished(self, signal: Signal) -> None:
        """The way the error shows: a fixture that yields inside the block."""

        @contextmanager
        def fixture() -> Iterator[None]:
            with mute_signals(signal):
                yield

        with fixture():
            inside = answers(signal)

        assert inside == []
        assert answers(signal) == ["native"]

    def test_what_is_not_callable_is_refused(self, signal: Signal) -> None:
        """Decorating what cannot be called fails at once."""
        with pytest.raises(InvalidReceiverError, match="'nothing', which cannot be called"):
            mute_signals(signal)("nothing")


# Classes decorated when this module is imported, as those of users are.
MODULE_SIGNAL = Signal()
answering(MODULE_SIGNAL, "native")


def muted_here() -> bool:
    return not MODULE_SIGNAL.has_listeners(None)


class Inherited:
    def test_inherited(self) -> None:
        """A test of a base class is muted in the decorated class."""
        assert muted_here()


@mute_signals(MODULE_SIGNAL)
class TestDecoratedClass(Inherited):
    """A pytest class: its tests are muted."""

    set_up_class = ""

    @classmethod
    def setup_class(cls) -> None:
        cls.set_up_class = cls.__name__

    def setup_method(self) -> None:
        self.set_up = True

    @pytest.fixture
    def test_named_fixture(self) -> str:
        return "a fixture may be called test_something"

    def test_method(self) -> None:
        """A test is muted."""
        assert muted_here()

    def test_set_up(self) -> None:
        """The set-up methods run as before."""
        assert self.set_up_class == "TestDecoratedClass"
        assert self.set_up

    @staticmethod
    def test_static() -> None:
        """A static test is muted and gets no self."""
        assert muted_here()

    @classmethod
    def test_class(cls) -> None:
        """A class method is muted and gets its class."""
        assert muted_here()
        assert cls.__name__ == "TestDecoratedClass"

    @pytest.mark.parametrize("number", [1, 2])
    def test_parameters(self, number: int, tmp_path: Path) -> None:
        """Parameters and fixtures reach a decorated test."""
        assert muted_here()
        assert number
        assert tmp_path.exists()

    def test_fixture_of_the_class(self, test_named_fixture: str) -> None:
        """A fixture stays a fixture, whatever it is called."""
        assert test_named_fixture

    def helper(self) -> bool:
        return muted_here()


def test_the_base_class_and_other_methods_are_not_muted() -> None:
    """Decorating a class changes no other class and no method that is not a test."""
    assert "test_inherited" in vars(TestDecoratedClass)
    assert not hasattr(Inherited.test_inherited, "__wrapped__")
    assert not TestDecoratedClass().helper()
    assert not muted_here()


def run_class(case: type[unittest.TestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


class TestUnittestClasses:
    """``@mute_signals(...)`` on unittest's classes, run as unittest runs them."""

    def test_everything_in_the_class_is_muted(self, signal: Signal) -> None:
        """Set-up, tests, tear-down and clean-ups are muted; nothing is after the class."""
        heard: dict[str, list[Any]] = {}

        @mute_signals(signal)
        class Case(unittest.TestCase):
            @classmethod
            def setUpClass(cls) -> None:
                heard["setUpClass"] = answers(signal)

            @classmethod
            def tearDownClass(cls) -> None:
                heard["tearDownClass"] = answers(signal)

            def setUp(self) -> None:
                heard["setUp"] = answers(signal)
                self.addCleanup(lambda: heard.update(cleanup=answers(signal)))

            def tearDown(self) -> None:
                heard["tearDown"] = answers(signal)

            def test(self) -> None:
                heard["test"] = answers(signal)

        result = run_class(Case)

        assert result.wasSuccessful()
        assert list(heard) == [
            "setUpClass", "setUp", "test", "tearDown", "cleanup", "tearDownClass",
        ]  # fmt: skip
        assert not any(heard.values())
        assert answers(signal) == ["native"]

    def test_a_set_up_that_raises_leaves_nothing_muted(self, signal: Signal) -> None:
        """The mute ends although ``setUpClass`` or ``setUp`` failed."""

        @mute_signals(signal)
        class BadClass(unittest.TestCase):
            @classmethod
            def setUpClass(cls) -> None:
                raise ZeroDivisionError

            def test(self) -> None: ...

        @mute_signals(signal)
        class BadSetUp(unittest.TestCase):
            def setUp(self) -> None:
                raise ZeroDivisionError

            def test(self) -> None: ...

        failed = [len(run_class(case).errors) for case in (BadClass, BadSetUp)]

        assert failed == [1, 1]
        assert answers(signal) == ["native"]

    def test_subclasses_are_muted_and_bases_are_not(self, signal: Signal) -> None:
        """A subclass inherits the mute, even if its ``setUp`` calls no super."""
        heard: dict[str, list[Any]] = {}

        class Base(unittest.TestCase):
            def test(self) -> None:
                heard[type(self).__name__] = answers(signal)

        @mute_signals(signal)
        class Middle(Base): ...

        class Derived(Middle):
            def setUp(self) -> None: ...

        for case in (Base, Middle, Derived):
            assert run_class(case).wasSuccessful()

        assert heard == {"Base": ["native"], "Middle": [], "Derived": []}

    def test_an_asyncio_class_is_muted(self, signal: Signal) -> None:
        """An ``IsolatedAsyncioTestCase``, which runs tests in a context of their own, is muted."""
        heard: dict[str, list[Any]] = {}

        @mute_signals(signal)
        class Case(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self) -> None:
                heard["asyncSetUp"] = await collect_asend(signal)

            async def test(self) -> None:
                heard["test"] = await collect_asend(signal)

        result = run_class(Case)

        assert result.wasSuccessful()
        assert heard == {"asyncSetUp": [], "test": []}
        assert answers(signal) == ["native"]

    def test_a_django_class_is_muted_from_its_test_data_on(self, transactional_db: None) -> None:
        """``setUpTestData``, sync and async tests of a Django TestCase are muted."""
        heard: list[str] = []

        @receiver(post_save, sender=Item)
        def hear(instance: Item, **kwargs: Any) -> None:
            heard.append(instance.name)

        @mute_signals(post_save)
        class Case(TestCase):
            @classmethod
            def setUpTestData(cls) -> None:
                Item.objects.create(name="test data")

            def test(self) -> None:
                Item.objects.create(name="test")
                assert Item.objects.count() == 2

            async def test_async(self) -> None:
                await Item.objects.acreate(name="async test")

        result = run_class(Case)
        Item.objects.create(name="after")

        assert result.wasSuccessful(), result.failures + result.errors
        assert result.testsRun == 2
        assert heard == ["after"]

    def test_one_test_method_of_a_class(self, signal: Signal) -> None:
        """A decorated method is muted, the others of the class are not."""
        heard: dict[str, list[Any]] = {}

        class Case(unittest.TestCase):
            @mute_signals(signal)
            def test_muted(self) -> None:
                heard["muted"] = answers(signal)

            def test_other(self) -> None:
                heard["other"] = answers(signal)

        result = run_class(Case)

        assert result.wasSuccessful()
        assert heard == {"muted": [], "other": ["native"]}

    def test_a_class_without_tests_is_refused(self, signal: Signal) -> None:
        """On a class in which nothing would be muted, the decorator says so."""

        class Service:
            def work(self) -> None: ...

        with pytest.raises(InvalidReceiverError, match=r"^mute_signals.*Service.*no test"):
            mute_signals(signal)(Service)


class TestFactories:
    """``@mute_signals(...)`` on factory_boy's factories, where it stands in for theirs."""

    @pytest.fixture(autouse=True)
    def heard(self, db: None) -> list[str]:
        heard: list[str] = []

        def hear(sender: type, signal: Signal, **kwargs: Any) -> None:
            heard.append(f"{'pre' if signal is pre_save else 'post'}_save {sender.__name__}")

        pre_save.connect(hear, weak=False)
        post_save.connect(hear, weak=False)
        return heard

    def test_create_is_muted_for_the_named_signals(self, heard: list[str]) -> None:
        """Objects are created without the named signals; others are heard."""

        @mute_signals(post_save)
        class ItemFactory(factory.django.DjangoModelFactory):
            class Meta:
                model = Item

        ItemFactory()
        ItemFactory.create_batch(2)
        Item.objects.create()

        assert heard == ["pre_save Item"] * 4 + ["post_save Item"]

    def test_build_is_muted(self) -> None:
        """Building an object sends nothing the factory mutes, ``pre_init`` for one."""
        built: list[str] = []
        signals.pre_init.connect(lambda **kwargs: built.append("init"), sender=Item, weak=False)

        @mute_signals(signals.pre_init)
        class ItemFactory(factory.django.DjangoModelFactory):
            class Meta:
                model = Item

        ItemFactory.build()
        inside = list(built)
        Item()

        assert inside == []
        assert built == ["init"]

    def test_post_generation_hooks_are_muted(self, heard: list[str]) -> None:
        """What the factory's hooks save, and the save after them, is muted too."""

        @mute_signals(pre_save, post_save)
        class ItemFactory(factory.django.DjangoModelFactory):
            class Meta:
                model = Item
                skip_postgeneration_save = True

            @factory.post_generation
            def tag(self, create: bool, extracted: Any, **kwargs: Any) -> None:
                self.tags.add(Tag.objects.create(name="hook"))

            @classmethod
            def _after_postgeneration(
                cls, instance: Item, create: bool, results: Any = None
            ) -> None:
                instance.save()

        ItemFactory()

        assert heard == []
        assert Item.objects.get().tags.get().name == "hook"

    def test_a_muted_sub_factory_in_another_one(self, heard: list[str]) -> None:
        """A muted factory is muted as a SubFactory, and mutes nothing beyond itself."""

        @mute_signals(pre_save, post_save)
        class ParentFactory(factory.django.DjangoModelFactory):
            class Meta:
                model = ItemProxy

        class ItemFactory(factory.django.DjangoModelFactory):
            class Meta:
                model = Item

            parent = factory.SubFactory(ParentFactory)

        ItemFactory()

        assert heard == ["pre_save Item", "post_save Item"]

    def test_a_muted_factory_mutes_its_sub_factories(self, heard: list[str]) -> None:
        """What a muted factory makes along the way is muted with it."""

        class ParentFactory(factory.django.DjangoModelFactory):
            class Meta:
                model = ItemProxy

        @mute_signals(pre_save, post_save)
        class ItemFactory(factory.django.DjangoModelFactory):
            class Meta:
                model = Item

            parent = factory.SubFactory(ParentFactory)

        class DerivedFactory(ItemFactory): ...

        ItemFactory()
        DerivedFactory()

        assert heard == []
        assert Item.objects.count() == 4

    def test_a_factory_that_fails_leaves_nothing_muted(self, heard: list[str]) -> None:
        """The mute ends when making the object raises."""

        @mute_signals(pre_save, post_save)
        class ItemFactory(factory.django.DjangoModelFactory):
            class Meta:
                model = Item

        with pytest.raises(TypeError):
            ItemFactory(unknown=1)
        Item.objects.create()

        assert heard == ["pre_save Item", "post_save Item"]


class TestDjangoQueries:
    """Django asks ``has_listeners`` before some queries: muting changes these and no others."""

    muted = (
        signals.pre_delete,
        signals.post_delete,
        signals.m2m_changed,
        pre_save,
        post_save,
    )

    def queries(self, *, muted: bool, work: Callable[[], Any]) -> list[str]:
        block = mute_signals(*self.muted) if muted else nullcontext()
        with CaptureQueriesContext(connection) as captured, block:
            work()
        verbs = [query["sql"].split()[0] for query in captured.captured_queries]
        return [verb for verb in verbs if verb in {"SELECT", "INSERT", "UPDATE", "DELETE"}]

    @pytest.fixture(autouse=True)
    def listeners(self, db: None) -> None:
        for each in self.muted:
            answering(each, None)

    def test_a_queryset_is_deleted_without_being_loaded(self) -> None:
        """``QuerySet.delete()`` of rows nobody listens to is one DELETE; the rows are gone."""
        for name in ("kept", "kept", "gone", "gone"):
            UuidItem.objects.create(name=name)

        loud = self.queries(muted=False, work=UuidItem.objects.filter(name="kept").delete)
        quiet = self.queries(muted=True, work=UuidItem.objects.filter(name="gone").delete)

        assert loud == ["SELECT", "DELETE"]
        assert quiet == ["DELETE"]
        assert not UuidItem.objects.exists()

    def test_many_to_many_add_does_not_look_first(self) -> None:
        """``add()`` inserts without asking what is there already; the rows are the same."""
        first, second = Item.objects.create(), Item.objects.create()
        tag = Tag.objects.create()

        loud = self.queries(muted=False, work=lambda: first.tags.add(tag))
        quiet = self.queries(muted=True, work=lambda: second.tags.add(tag))

        assert [query for query in loud if query != "SELECT"] == quiet
        assert list(first.tags.all()) == list(second.tags.all()) == [tag]

    def test_saving_is_the_same(self) -> None:
        """Saving, and deleting a row without relations, is the same with and without listeners."""

        def work() -> None:
            item = UuidItem.objects.create()
            item.save()
            item.delete()

        loud = self.queries(muted=False, work=work)
        quiet = self.queries(muted=True, work=work)

        assert quiet == loud


class TestErrors:
    """What cannot mute anything is refused where it is written."""

    def test_a_bare_mute_is_refused(self) -> None:
        """``mute_signals()`` names nothing to mute."""
        with pytest.raises(InvalidReceiverError, match=r"^mute_signals\(\) names no.*post_save"):
            mute_signals()

    def test_a_decorator_without_parentheses_is_refused(self) -> None:
        """``@mute_signals`` alone takes the function for a signal, and says so."""

        def work() -> None: ...

        with pytest.raises(InvalidReceiverError, match=r"work.* as a signal"):
            mute_signals(work)  # type: ignore[arg-type]

    @pytest.mark.parametrize("bad", [[post_save], Item, "post_save", None])
    def test_what_is_no_signal_is_refused(self, bad: Any) -> None:
        """Only signals are taken by position."""
        with pytest.raises(InvalidReceiverError, match=r"as a signal.*by position"):
            mute_signals(bad)

    @pytest.mark.parametrize("bad", [Item, "testapp.Item"])
    def test_one_sender_instead_of_a_list_is_refused(self, bad: Any) -> None:
        """``senders=Item`` lacks its brackets."""
        with pytest.raises(InvalidReceiverError, match=r"senders=.*list.*senders=\["):
            mute_signals(post_save, senders=bad)

    def test_one_receiver_instead_of_a_list_is_refused(self) -> None:
        """``receivers=function`` lacks its brackets."""
        with pytest.raises(InvalidReceiverError, match=r"receivers=.*list.*receivers=\["):
            mute_signals(post_save, receivers=module_receiver)  # type: ignore[arg-type]

    def test_a_receiver_that_is_not_callable_is_refused(self) -> None:
        """Receivers are the functions themselves, not their names."""
        with pytest.raises(InvalidReceiverError, match=r"'shop.send_mail' as a receiver"):
            mute_signals(post_save, receivers=["shop.send_mail"])  # type: ignore[list-item]

    @pytest.mark.parametrize("bad", ["testapp.Nothing", "nowhere.Item", "Item", "a.b.c"])
    def test_an_unknown_model_is_refused_on_entering(self, bad: str) -> None:
        """A label that names no model would mute nothing on a model signal."""
        mute = mute_signals(post_save, senders=[bad])

        with pytest.raises(InvalidReceiverError, match=f"{bad!r}"), mute:
            pass

        assert live.rules_here.get() == ()

    @pytest.mark.parametrize("bad", [AbstractItem, None, object(), int])
    def test_a_sender_that_no_model_signal_has_is_refused(self, bad: Any) -> None:
        """An abstract model never sends a signal, so that muting it would do nothing."""
        with pytest.raises(InvalidReceiverError, match="never sends a model signal"):
            mute_signals(post_save, senders=[bad])

    def test_iterators_are_read_once(self, signal: Signal) -> None:
        """Senders and receivers may come from a generator; the object stays usable again."""
        other = answering(signal, "other")
        mute = mute_signals(signal, receivers=(each for each in [other]))

        for _ in range(2):
            with mute:
                assert answers(signal) == ["native"]


TARGETS = st.sampled_from(["first", "second", "receiver", "everywhere"])
STEPS = st.one_of(
    st.tuples(st.just("fork"), st.integers(0, 9)),
    st.tuples(st.just("enter"), st.integers(0, 9), TARGETS),
    st.tuples(st.just("exit"), st.integers(0, 9), st.integers(0, 9)),
)


class Program:
    """Blocks in several contexts, and beside them what they mean, in the simplest words."""

    def __init__(self) -> None:
        self.first, self.second = Signal(), Signal()
        self.one = answering(self.first, "one")
        self.second.connect(self.one, weak=False)
        answering(self.first, "other")
        self.contexts = [contextvars.copy_context()]
        # A block, what it mutes, and the numbers of the contexts in which it does, until it ends.
        self.blocks: list[tuple[mute_signals, str, set[int]]] = []

    def fork(self, parent: int) -> None:
        parent %= len(self.contexts)
        self.contexts.append(self.contexts[parent].run(contextvars.copy_context))
        for _, _, muted in self.blocks:
            if parent in muted:
                muted.add(len(self.contexts) - 1)

    def enter(self, context: int, target: str) -> None:
        context %= len(self.contexts)
        mute = {
            "first": mute_signals(self.first),
            "second": mute_signals(self.second),
            "receiver": mute_signals(self.first, self.second, receivers=[self.one]),
            "everywhere": mute_signals(self.first, self.second, all_threads=True),
        }[target]
        self.contexts[context].run(mute.__enter__)
        self.blocks.append((mute, target, {context}))

    def exit(self, block: int, context: int) -> None:
        if self.blocks:
            mute, _, _ = self.blocks.pop(block % len(self.blocks))
            self.contexts[context % len(self.contexts)].run(mute.__exit__, None, None, None)

    def expected(self, context: int) -> list[list[str]]:
        muted = {
            target
            for _, target, contexts in self.blocks
            if context in contexts or target == "everywhere"
        }
        first = ["other"] if "receiver" in muted else ["one", "other"]
        second = [] if "receiver" in muted else ["one"]
        return [
            [] if muted & {"first", "everywhere"} else first,
            [] if muted & {"second", "everywhere"} else second,
        ]

    def check(self) -> None:
        for number, context in enumerate(self.contexts):
            heard = [context.run(answers, signal) for signal in (self.first, self.second)]
            assert heard == self.expected(number)


class TestAnyOrder:
    """Blocks in several contexts, begun and ended in any order."""

    @given(st.lists(STEPS, max_size=25))
    def test_random_programs_agree_with_a_simple_model(self, steps: list[Any]) -> None:
        """After every step every context hears just what the model says."""
        program = Program()

        try:
            for name, *arguments in steps:
                getattr(program, name)(*arguments)
                program.check()
        finally:
            while program.blocks:
                program.exit(0, 0)

        program.check()

    @given(st.lists(st.booleans(), max_size=20))
    def test_one_object_entered_and_left_at_random(self, steps: list[bool]) -> None:
        """One object mutes as long as it was entered more often than left."""
        signal = Signal()
        answering(signal, "native")
        mute = mute_signals(signal)
        depth = 0

        for enter in steps:
            if enter:
                mute.__enter__()
                depth += 1
            elif depth:
                mute.__exit__(None, None, None)
                depth -= 1
            assert answers(signal) == ([] if depth else ["native"])

        for _ in range(depth):
            mute.__exit__(None, None, None)
        assert answers(signal) == ["native"]


def run_python(*arguments: str) -> str:
    """Run Python in a process of its own and return what it printed."""
    result = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_muting_imports_no_test_framework() -> None:
    """Muting needs neither factory_boy nor pytest, and no settings."""
    code = """
        import sys
        from django.dispatch import Signal
        from signals_plus import mute_signals
        with mute_signals(Signal()):
            pass
        print({"factory", "pytest", "celery"} & sys.modules.keys())
    """

    printed = run_python("-c", textwrap.dedent(code))

    assert printed == "set()\n"


def test_a_unittest_class_run_by_pytest(tmp_path: Path) -> None:
    """pytest runs a muted unittest class as unittest does, and the next class is not muted."""
    code = """
        import unittest
        from django.dispatch import Signal
        from signals_plus import mute_signals

        signal = Signal()
        signal.connect(print)

        @mute_signals(signal)
        class TestMuted(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                assert not signal.has_listeners(None)

            def test(self):
                assert not signal.has_listeners(None)

        class TestNext(unittest.TestCase):
            def test(self):
                assert signal.has_listeners(None)
    """
    (tmp_path / "test_muted.py").write_text(textwrap.dedent(code))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:randomly -p no:django")

    printed = run_python("-m", "pytest", "-c", str(tmp_path / "pytest.ini"), str(tmp_path))

    assert "2 passed" in printed
