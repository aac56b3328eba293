"""Receivers that are ``async def`` functions, under every way of sending and every caller."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.dispatch import Signal

from signals_plus import calling, receiver, receiver_on_commit
from tests.testapp.models import Item

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


async def coroutine(**kwargs: Any) -> str:
    await asyncio.sleep(0)
    return "awaited"


def plain(**kwargs: Any) -> str:
    return "called"


class AsyncObject:
    async def __call__(self, **kwargs: Any) -> str:
        return await coroutine()

    async def method(self, **kwargs: Any) -> str:
        return await coroutine()

    @classmethod
    async def class_method(cls, **kwargs: Any) -> str:
        return await coroutine()


def marked(**kwargs: Any) -> Any:
    """A plain function that is marked because it returns a coroutine."""
    return coroutine()


markcoroutinefunction(marked)

ASYNC: dict[str, Callable[..., Any]] = {
    "function": coroutine,
    "bound method": AsyncObject().method,
    "class method": AsyncObject.class_method,
    "callable object": AsyncObject(),
    "partial": functools.partial(coroutine, extra=1),
    "partial of an object": functools.partial(AsyncObject(), extra=1),
    "marked": marked,
}


class TestIsAsync:
    """``is_async``: whether a call gives a coroutine."""

    @pytest.mark.parametrize("kind", ASYNC)
    def test_asynchronous_callables(self, kind: str) -> None:
        """Functions, methods, partials and callable objects are told by what they are."""
        assert calling.is_async(ASYNC[kind])

    @pytest.mark.parametrize("function", [plain, print, int, functools.partial(plain)])
    def test_synchronous_callables(self, function: Callable[..., Any]) -> None:
        """Everything else is synchronous, builtins and classes included."""
        assert not calling.is_async(function)


class TestSynchronous:
    """``synchronous``: any receiver as a function to call."""

    def test_a_synchronous_function_is_itself(self) -> None:
        """Nothing is put around a function that needs nothing."""
        assert calling.synchronous(plain) is plain

    @pytest.mark.parametrize("kind", ASYNC)
    def test_an_async_one_is_run_to_its_end(self, kind: str) -> None:
        """Calling gives the result, not a coroutine."""
        function = calling.synchronous(ASYNC[kind])

        assert not iscoroutinefunction(function)
        assert function() == "awaited"

    @pytest.mark.parametrize("kind", ASYNC)
    def test_an_async_one_is_run_inside_a_running_loop(self, kind: str) -> None:
        """In a thread whose loop is running another thread runs the coroutine."""
        function = calling.synchronous(ASYNC[kind])

        async def main() -> Any:
            return function()

        assert asyncio.run(main()) == "awaited"
        assert async_to_sync(main)() == "awaited"

    @pytest.mark.parametrize("running", [False, True], ids=["no loop", "running loop"])
    def test_an_exception_reaches_the_caller(self, running: bool) -> None:
        """What the coroutine raises is raised by the call."""

        async def fail() -> None:
            raise ZeroDivisionError

        async def main() -> None:
            calling.synchronous(fail)()

        with pytest.raises(ZeroDivisionError):
            asyncio.run(main()) if running else calling.synchronous(fail)()

    @pytest.mark.parametrize("running", [False, True], ids=["no loop", "running loop"])
    def test_context_variables_of_the_caller_are_visible(self, running: bool) -> None:
        """The coroutine sees the ContextVars of whoever called."""

        async def read() -> str:
            return VARIABLE.get()

        async def main() -> Any:
            return calling.synchronous(read)()

        def work() -> Any:
            VARIABLE.set("set by the caller")
            return asyncio.run(main()) if running else calling.synchronous(read)()

        assert contextvars.copy_context().run(work) == "set by the caller"


def sent(signal: Signal) -> list[Any]:
    return [answer for _, answer in signal.send(None)]


def sent_robust(signal: Signal) -> list[Any]:
    return [answer for _, answer in signal.send_robust(None)]


async def asent(signal: Signal) -> list[Any]:
    return [answer for _, answer in await signal.asend(None)]


async def asent_robust(signal: Signal) -> list[Any]:
    return [answer for _, answer in await signal.asend_robust(None)]


async def sent_in_a_loop(signal: Signal) -> list[Any]:
    return sent(signal)


FORMS: dict[str, Callable[[Signal], list[Any]]] = {
    "send": sent,
    "send_robust": sent_robust,
    "asend": lambda signal: asyncio.run(asent(signal)),
    "asend_robust": lambda signal: asyncio.run(asent_robust(signal)),
    "asend, from sync code": async_to_sync(asent),
    "send, in a running loop": lambda signal: asyncio.run(sent_in_a_loop(signal)),
    "send, in async_to_sync": async_to_sync(sent_in_a_loop),
    "send, in sync_to_async": async_to_sync(sync_to_async(sent)),
}


class TestAsyncReceivers:
    """``async def`` receivers of our decorators."""

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("kind", ASYNC)
    def test_every_kind_under_every_way_of_sending(self, form: str, kind: str) -> None:
        """The receiver is run to its end, and its result is in the list."""
        signal = Signal()
        receiver(signal)(ASYNC[kind])
        receiver(signal)(plain)

        assert FORMS[form](signal) == ["awaited", "called"]

    @pytest.mark.parametrize("form", [form for form in FORMS if "robust" not in form])
    def test_an_exception_ends_the_sending(self, form: str) -> None:
        """What the receiver raises leaves ``send()``, and later receivers are not called."""
        signal = Signal()
        called: list[str] = []

        @receiver(signal)
        async def fail(**kwargs: Any) -> None:
            raise ZeroDivisionError

        receiver(signal)(lambda **kwargs: called.append("next"))

        with pytest.raises(ZeroDivisionError):
            FORMS[form](signal)

        assert called == []

    @pytest.mark.parametrize("form", ["send_robust", "asend_robust"])
    @pytest.mark.parametrize("kind", ["bound method", "callable object", "partial"])
    def test_robust_forms_return_the_exception(
        self, form: str, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The exception is a result, logged by Django, and later receivers are called."""
        signal = Signal()

        class Fail:
            async def __call__(self, **kwargs: Any) -> None:
                raise ZeroDivisionError

        receivers: dict[str, Callable[..., Any]] = {
            "bound method": Fail().__call__,
            "callable object": Fail(),
            "partial": functools.partial(Fail()),
        }
        receiver(signal)(receivers[kind])
        receiver(signal)(plain)

        error, answer = FORMS[form](signal)

        assert isinstance(error, ZeroDivisionError)
        assert answer == "called"
        assert "Fail" in caplog.text

    def test_the_receiver_sees_uncommitted_rows(self, transactional_db: None) -> None:
        """Queries of the receiver are made in the transaction that sent the signal."""
        seen: list[tuple[bool, bool]] = []

        @receiver(post_save, sender=Item)
        async def look(instance: Item, **kwargs: Any) -> None:
            found = await Item.objects.filter(pk=instance.pk).aexists()
            seen.append((found, await sync_to_async(lambda: connection.in_atomic_block)()))

        with transaction.atomic():
            Item.objects.create()

        assert seen == [(True, True)]

    def test_asave_calls_it(self, transactional_db: None) -> None:
        """``acreate()`` sends from a thread; the receiver awaits there and back."""
        seen: list[int] = []

        @receiver(post_save, sender=Item)
        async def count(**kwargs: Any) -> None:
            seen.append(await Item.objects.acount())

        async def main() -> None:
            await Item.objects.acreate()

        async_to_sync(main)()

        assert seen == [1]

    def test_it_runs_after_the_commit(self, transactional_db: None) -> None:
        """``receiver_on_commit`` awaits an ``async def`` receiver when the commit is done."""
        seen: list[tuple[int, bool]] = []

        @receiver_on_commit(post_save, sender=Item)
        async def count(**kwargs: Any) -> None:
            in_transaction = await sync_to_async(lambda: connection.in_atomic_block)()
            seen.append((await Item.objects.acount(), in_transaction))

        with transaction.atomic():
            Item.objects.create()
            Item.objects.create()
            before = list(seen)

        assert before == []
        assert seen == [(2, False), (2, False)]

    def test_connections_opened_for_it_in_a_running_loop_are_closed(
        self, transactional_db: None
    ) -> None:
        """The thread that runs a coroutine beside a running loop leaves no connection open."""
        signal = Signal()
        opened: list[Any] = []

        def query() -> int:
            count = Item.objects.count()
            opened.append((threading.current_thread(), connection.connection))
            return count

        @receiver(signal)
        async def count(**kwargs: Any) -> int:
            return await sync_to_async(query)()

        answers = FORMS["send, in a running loop"](signal)
        [(thread, database)] = opened

        assert answers == [0]
        assert thread is not threading.current_thread()
        assert not thread.is_alive()
        # PyMySQL says it with an empty text, and not before the first query.
        with pytest.raises(Exception, match=r"closed|\(0, ''\)"):
            database.cursor().execute("SELECT 1")
