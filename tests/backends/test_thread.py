"""Tasks in threads of the process. What becomes of them at its end: test_thread_endings.py."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connection, connections, transaction
from django.db.models.signals import post_save
from django.test import override_settings

from signals_plus import lineage, live, mute_signals, receiver_task
from signals_plus.backends.base import Task
from signals_plus.backends.handler import backends
from signals_plus.backends.thread import ThreadBackend
from signals_plus.exceptions import InvalidReceiverError
from signals_plus.links import Link
from tests.services import eventually
from tests.testapp.models import Item

Make = Callable[..., ThreadBackend]

THREADS = {"default": {"BACKEND": "signals_plus.backends.thread.ThreadBackend"}}

trace_id = ContextVar("trace_id", default="none")


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[ThreadBackend] = []

    def make(**options: Any) -> ThreadBackend:
        made.append(ThreadBackend("default", options))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


class Gate:
    """A task that runs until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.task = Task("shop.gate", print, self.wait)

    def wait(self, payload: str) -> None:
        self.entered.set()
        assert self.opened.wait(30)

    def hold(self, backend: ThreadBackend) -> None:
        """Keep a thread of the backend busy."""
        backend.enqueue(self.task, "")
        assert self.entered.wait(30)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


def task(run: Callable[[str], Any], name: str = "shop.a") -> Task:
    return Task(name, print, run)


def our_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name.startswith("signals_plus")}


class TestThreads:
    def test_run_tasks_in_order(self, make: Make) -> None:
        """One thread, in the order in which they were enqueued."""
        ran: list[tuple[str, str]] = []
        add = task(lambda payload: ran.append((payload, threading.current_thread().name)))
        backend = make()

        backend.enqueue_many([(add, "1"), (add, "2"), (add, "3")])

        backend.close()
        name = "signals_plus backend 'default'"
        assert ran == [("1", name), ("2", name), ("3", name)]

    def test_run_several_at_a_time(self, make: Make) -> None:
        """As many as the option says: each of these tasks waits for the other."""
        met = threading.Barrier(2, timeout=30)
        ran: list[str] = []

        def meet(payload: str) -> None:
            met.wait()
            ran.append(payload)

        backend = make(threads=2)
        backend.enqueue(task(meet), "1")
        backend.enqueue(task(meet), "2")

        backend.close()
        assert sorted(ran) == ["1", "2"]

    def test_are_no_more_than_the_option_says(self, make: Make, gate: Gate) -> None:
        """However many tasks wait, and one that has nothing to do takes the next."""
        before = our_threads()
        backend = make(threads=2)
        ran: list[str] = []

        for payload in "12345":
            backend.enqueue(task(ran.append), payload)
            eventually(lambda: payload in ran)  # noqa: B023 - called at once
        gate.hold(backend)
        backend.enqueue_many([(gate.task, ""), (task(ran.append), "6"), (task(ran.append), "7")])

        assert len(our_threads() - before) == 2

    def test_begin_with_the_first_task(self, make: Make) -> None:
        """A process that enqueues nothing has none: a command, the parent of a reloader."""
        before = our_threads()

        backend = make()
        backend.register(task(print))
        backend.check()

        assert our_threads() - before == set()
        backend.enqueue(task(str), "1")
        assert len(our_threads() - before) == 1

    def test_end_when_the_backend_is_closed(self, make: Make, gate: Gate) -> None:
        """All that waits is run before."""
        before = our_threads()
        ran: list[str] = []
        backend = make(threads=2)
        gate.hold(backend)
        backend.enqueue_many([(gate.task, ""), (task(ran.append), "1"), (task(ran.append), "2")])
        threading.Timer(0.05, gate.opened.set).start()

        backend.close()

        assert sorted(ran) == ["1", "2"]
        assert our_threads() - before == set()

    def test_may_close_their_own_backend(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A task does not wait for its own end, and is not lost."""
        backend = make()
        took: list[float] = []

        def close(payload: str) -> None:
            started = time.monotonic()
            backend.close()
            took.append(time.monotonic() - started)

        backend.enqueue(task(close), "")

        (seconds,) = eventually(lambda: took)
        assert seconds < 5
        assert [each for each in caplog.records if each.levelno > logging.INFO] == []

    def test_are_not_waited_for_without_end(
        self, make: Make, gate: Gate, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What is given up is named; what it was about is only in a log of level DEBUG."""
        ran: list[str] = []
        backend = make(drain_timeout=0.05)
        gate.hold(backend)
        for name in ("shop.b", "shop.a", "shop.b"):
            backend.enqueue(task(ran.append, name), "secret")
        caplog.set_level(logging.INFO, "signals_plus")

        backend.close()

        (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
        assert record.getMessage() == (
            "signals_plus backend 'default': after 0.05 s, 1 running and 3 waiting tasks are lost: "
            "shop.a (1), shop.b (2), shop.gate (1)"
        )
        assert "secret" not in caplog.text
        gate.opened.set()
        backend.close()
        assert ran == []

    def test_of_lost_tasks_are_in_a_log_for_debugging(
        self, make: Make, gate: Gate, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With their payloads."""
        backend = make(drain_timeout=0)
        gate.hold(backend)
        backend.enqueue(task(str), "payload")
        caplog.set_level(logging.DEBUG, "signals_plus")

        backend.close()

        assert "Lost task shop.a: payload" in caplog.messages

    def test_of_a_closed_backend_are_not_needed(self, make: Make) -> None:
        """Whoever still has it, and enqueues, runs the task."""
        ran: list[threading.Thread] = []
        backend = make()
        backend.close()

        backend.enqueue(task(lambda payload: ran.append(threading.current_thread())), "1")

        assert ran == [threading.current_thread()]

    def test_end_when_the_settings_change(self, settings: Any) -> None:
        """override_settings leaves none behind."""
        before = our_threads()
        ran: list[str] = []

        with override_settings(SIGNALS_PLUS_BACKENDS=THREADS):
            backends["default"].enqueue(task(ran.append), "1")

        assert ran == ["1"]
        assert our_threads() - before == set()


class TestFull:
    def test_runs_tasks_where_they_are_enqueued(self, make: Make, gate: Gate) -> None:
        """And takes them again when there is room."""
        ran: list[tuple[str, bool]] = []
        here = threading.current_thread()
        add = task(lambda payload: ran.append((payload, threading.current_thread() is here)))
        backend = make(queue_size=2)
        gate.hold(backend)

        backend.enqueue_many([(add, each) for each in "1234"])
        assert ran == [("3", True), ("4", True)]
        gate.opened.set()
        eventually(lambda: len(ran) == 4)
        backend.enqueue(add, "5")

        backend.close()
        assert ran[2:] == [("1", False), ("2", False), ("5", False)]

    def test_is_said_once_for_each_time_that_it_lasts(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A warning, not one for each task."""
        backend = make(queue_size=2)

        for _ in range(2):
            gate = Gate()
            gate.hold(backend)
            backend.enqueue_many([(task(str), "")] * 5)
            gate.opened.set()
            eventually(lambda: not backend._pool._waiting)

        warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
        message = (
            "signals_plus backend 'default': 2 tasks are waiting, which is all the room there is. "
            "Tasks run where they are enqueued"
        )
        assert [each.getMessage() for each in warnings] == [message, message]

    def test_lasts_until_half_of_the_room_is_free(
        self, make: Make, gate: Gate, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where tasks come as fast as they are run, there is no warning for every other one."""
        backend = make(queue_size=4)
        second = Gate()
        gate.hold(backend)
        backend.enqueue_many([(second.task, ""), *[(task(str), "")] * 4])
        gate.opened.set()
        assert second.entered.wait(30)

        backend.enqueue_many([(task(str), "")] * 2)

        second.opened.set()
        assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 1

    def test_does_not_nest_what_a_task_enqueues(self, make: Make, gate: Gate) -> None:
        """It runs when that task has ended, as it would in a thread."""
        ran: list[str] = []
        backend = make(queue_size=1)

        def enqueue_another(payload: str) -> None:
            backend.enqueue(task(ran.append), "inner")
            ran.append("outer")

        gate.hold(backend)
        backend.enqueue_many([(task(str), ""), (task(enqueue_another), "")])

        assert ran == ["outer", "inner"]

    def test_hides_the_errors_of_receivers(
        self, make: Make, gate: Gate, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Enqueueing raises nothing."""
        backend = make(queue_size=1)
        gate.hold(backend)

        refused = backend.enqueue_many([(task(str), ""), (task(int), "no number")])

        assert refused == []
        assert "Task shop.a failed: ValueError" in caplog.text

    def test_is_a_system_without_threads(
        self, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """All tasks run where they are enqueued, until there is a thread."""

        def fail(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        ran: list[tuple[str, bool]] = []
        here = threading.current_thread()
        add = task(lambda payload: ran.append((payload, threading.current_thread() is here)))
        backend = make()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            backend.enqueue_many([(add, "1"), (add, "2")])

        backend.enqueue(add, "3")

        backend.close()
        assert ran == [("1", True), ("2", True), ("3", False)]
        assert caplog.messages.count(
            "signals_plus backend 'default': no thread can be started. "
            "Tasks run where they are enqueued"
        ) == 1  # fmt: skip


class TestFailure:
    @pytest.mark.parametrize(
        "error", [LookupError("a"), SystemExit(1), asyncio.CancelledError(), RecursionError()]
    )
    def test_is_logged_and_the_thread_goes_on(
        self, error: BaseException, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With its traceback; sys.exit() and a cancelled coroutine are failures as any other."""
        threads: list[threading.Thread] = []

        def fail(payload: str) -> None:
            threads.append(threading.current_thread())
            raise error

        backend = make()
        backend.enqueue(task(fail), "1")
        backend.enqueue(task(lambda payload: threads.append(threading.current_thread())), "2")

        backend.close()
        assert len(threads) == 2
        assert len(set(threads)) == 1
        (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
        assert record.getMessage() == f"Task shop.a failed: {error!r}"
        assert record.exc_info is not None
        assert record.exc_info[1] is error

    def test_that_is_none_of_a_task_ends_the_thread(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Python reports it, and another thread takes over what waits."""
        reported: list[Any] = []
        monkeypatch.setattr(threading, "excepthook", reported.append)
        ran: list[str] = []

        def interrupt(payload: str) -> None:
            raise KeyboardInterrupt

        backend = make()
        backend.enqueue_many([(task(interrupt), ""), (task(ran.append), "2")])

        backend.close()
        assert ran == ["2"]
        assert [each.exc_type for each in reported] == [KeyboardInterrupt]


class TestContext:
    def test_follows_a_task(self, make: Make) -> None:
        """As it was when the task was enqueued, and what the task changes stays there."""
        ids: list[str] = []

        def add(payload: str) -> None:
            ids.append(trace_id.get())
            trace_id.set("the task's own")

        backend = make()
        token = trace_id.set("a")
        backend.enqueue(task(add), "1")
        backend.enqueue(task(add), "2")
        trace_id.set("b")
        backend.enqueue(task(add), "3")
        trace_id.reset(token)

        backend.close()
        assert ids == ["a", "a", "b"]

    def test_is_without_mutes_and_lineage(self, make: Make) -> None:
        """A task begins as one of a worker: its lineage is in the payload."""
        seen: list[Any] = []
        backend = make()

        with mute_signals(post_save), lineage.within((Link("a", None),)):
            backend.enqueue(
                task(lambda payload: seen.extend([live.rules_here.get(), lineage.current()])), ""
            )

        backend.close()
        assert seen == [(), ()]


class TestConnections:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_are_not_those_of_the_caller(self, make: Make) -> None:
        """No transaction of the caller is open, and what it has not committed cannot be seen."""
        seen: list[tuple[bool, int]] = []

        def look(payload: str) -> None:
            seen.append((connection.in_atomic_block, Item.objects.count()))

        backend = make()
        with transaction.atomic():
            Item.objects.create()
            backend.enqueue(task(look), "")
            eventually(lambda: seen)

        assert seen == [(False, 0)]

    @pytest.mark.parametrize(("max_age", "count"), [(0, 2), (None, 1)])
    def test_last_as_those_of_requests_while_there_is_work(
        self,
        max_age: int | None,
        count: int,
        make: Make,
        gate: Gate,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """CONN_MAX_AGE."""
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", max_age)
        used: list[Any] = []

        def use(payload: str) -> None:
            Item.objects.count()
            used.append(connection.connection)

        backend = make()
        gate.hold(backend)
        backend.enqueue_many([(task(use), ""), (task(use), "")])
        gate.opened.set()

        backend.close()
        assert len(set(map(id, used))) == count

    @pytest.mark.parametrize("max_age", [0, None])
    def test_are_closed_when_there_is_no_work(
        self, max_age: int | None, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A database can be destroyed, or restarted, while the threads wait."""
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", max_age)
        used: list[Any] = []

        def use(payload: str) -> None:
            Item.objects.count()
            used.extend([connections["default"], threading.current_thread()])

        backend = make()
        backend.enqueue(task(use), "")

        eventually(lambda: used and used[0].connection is None)
        assert used[1].is_alive()

    def test_are_closed_when_the_thread_is_ended(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By what is no failure of a task."""
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)
        monkeypatch.setattr(threading, "excepthook", print)
        used: list[Any] = []

        def use(payload: str) -> None:
            Item.objects.count()
            used.append(connections["default"])
            raise KeyboardInterrupt

        make().enqueue(task(use), "")

        eventually(lambda: used and used[0].connection is None)

    def test_are_closed_when_a_task_outlives_the_backend(self, make: Make, gate: Gate) -> None:
        """At its end."""
        used: list[Any] = []

        def use(payload: str) -> None:
            Item.objects.count()
            used.append(connections["default"])
            gate.wait(payload)

        backend = make(drain_timeout=0)
        backend.enqueue(task(use), "")
        eventually(lambda: used)
        backend.close()
        assert used[0].connection is not None
        gate.opened.set()

        eventually(lambda: used[0].connection is None)


class TestReceiver:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_runs_after_the_commit(self, settings: Any) -> None:
        """Its row is loaded again, in the thread."""
        settings.SIGNALS_PLUS_BACKENDS = THREADS
        seen: list[tuple[str, bool, bool]] = []
        here = threading.current_thread()

        def see(sender: Any, instance: Item, created: bool, **kwargs: Any) -> None:
            seen.append((instance.name, created, threading.current_thread() is here))

        receiver_task(post_save, sender=Item, name="shop.see")(see)
        with transaction.atomic():
            Item.objects.create(name="a")
            backends["default"].enqueue(task(str), "")
            assert seen == []

        backends.forget()
        assert seen == [("a", True, False)]

    def test_that_is_async_outlives_an_asgi_request(self, settings: Any, gate: Gate) -> None:
        """Enqueued from a thread of sync_to_async, run when the request and its loop are gone."""
        settings.SIGNALS_PLUS_BACKENDS = THREADS
        seen: list[Any] = []

        async def see(sender: Any, instance: Item, **kwargs: Any) -> None:
            count = await Item.objects.acount()
            name = await sync_to_async(lambda: threading.current_thread().name)()
            seen.append((instance.name, count, name))

        receiver_task(post_save, sender=Item, name="shop.see")(see)

        def view() -> None:
            gate.hold(backends["default"])  # type: ignore[arg-type]
            with transaction.atomic():
                Item.objects.create(name="a")
            connections.close_all()

        async def request() -> None:
            async with ThreadSensitiveContext():
                await sync_to_async(view)()

        asyncio.run(request())
        assert seen == []
        gate.opened.set()

        backends.forget()
        assert seen == [("a", 1, "signals_plus backend 'default'")]


ASKING = [
    Task("shop.a", print, print, queue_name="mail"),
    Task("shop.a", print, print, queue_priority=1),
    Task("shop.a", print, print, run_after=timedelta(seconds=1)),
    Task("shop.a", print, print, options={"max_retries": 3}),
]


class TestUnsupported:
    @pytest.mark.parametrize("asking", ASKING)
    def test_is_refused(self, asking: Task, make: Make) -> None:
        """What the threads do not do."""
        with pytest.raises(InvalidReceiverError, match=r"the backend 'default' \(ThreadBackend\)"):
            make().refuse_unsupported(asking)

    @pytest.mark.parametrize("asking", ASKING)
    def test_is_ignored_if_that_is_wanted(self, asking: Task, make: Make) -> None:
        """For receivers that are written for the queue of production."""
        ran: list[str] = []
        backend = make(ignore_unsupported=True)
        asking = asking._replace(run=ran.append)

        backend.validate_task(asking)
        backend.enqueue(asking, "1")

        backend.close()
        assert ran == ["1"]
