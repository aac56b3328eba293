"""Tasks that run where they are enqueued."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import lineage, live, mute_signals, receiver, receiver_on_commit, receiver_task
from signals_plus.backends.base import Task
from signals_plus.backends.handler import backends
from signals_plus.backends.immediate import ImmediateBackend
from signals_plus.exceptions import InvalidReceiverError
from signals_plus.links import Link
from tests.testapp.models import Item, Tag

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

trace_id = ContextVar("trace_id", default="none")


@pytest.fixture(autouse=True)
def _immediate(settings: Any) -> Iterator[None]:
    settings.SIGNALS_PLUS_BACKENDS = _backends()
    yield
    backends.forget()


def _backends(**options: Any) -> dict[str, Any]:
    path = "signals_plus.backends.immediate.ImmediateBackend"
    return {"default": {"BACKEND": path, "OPTIONS": options}}


def task(run: Any, name: str = "shop.a") -> Task:
    return Task(name, print, run)


class TestTask:
    def test_runs_after_the_commit(self) -> None:
        """In the same thread, and with its row loaded again."""
        item = Item(name="a")
        seen: list[Any] = []

        def see(sender: Any, instance: Item, **kwargs: Any) -> None:
            is_here = threading.current_thread() is threading.main_thread()
            in_atomic = transaction.get_connection().in_atomic_block
            seen.append((instance.name, instance is item, is_here, in_atomic))

        receiver_task(post_save, sender=Item, name="shop.see")(see)
        with transaction.atomic():
            item.save()
            assert seen == []

        assert seen == [("a", False, True, False)]

    def test_does_not_run_for_what_was_rolled_back(self) -> None:
        seen: list[Any] = []
        receiver_task(post_save, sender=Item, name="shop.see")(lambda **kwargs: seen.append(1))

        with transaction.atomic():
            Item.objects.create()
            transaction.set_rollback(True)

        assert seen == []

    def test_runs_when_the_one_that_enqueued_it_has_ended(self) -> None:
        """As in a queue: a long chain does not fill Python's stack."""
        order: list[str] = []

        def first(sender: Any, instance: Item, **kwargs: Any) -> None:
            Tag.objects.create(name="from the task")
            order.append("first ends")

        def second(sender: Any, instance: Tag, **kwargs: Any) -> None:
            order.append("second")

        receiver_task(post_save, sender=Item, name="shop.first")(first)
        receiver_task(post_save, sender=Tag, name="shop.second")(second)
        Item.objects.create()

        assert order == ["first ends", "second"]

    def test_in_a_chain_without_end_reaches_the_limit(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The package's own, of 50 receivers, and not Python's."""

        def make_another(sender: Any, **kwargs: Any) -> None:
            Item.objects.create()

        receiver_task(post_save, sender=Item, name="shop.make_another")(make_another)
        Item.objects.create()

        (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
        assert "RecursionLimitError" in record.getMessage()
        assert Item.objects.count() == 51  # one, and one by each of 50 tasks

    def test_begins_as_in_a_worker(self) -> None:
        """Without the caller's mutes and lineage, with the rest of its context; none leaks out."""
        seen: list[Any] = []

        def run(payload: str) -> None:
            seen.extend([live.rules_here.get(), lineage.current(), trace_id.get()])
            trace_id.set("the task's own")

        token = trace_id.set("a")
        with mute_signals(post_save), lineage.within((Link("a", None),)):
            backends["default"].enqueue(task(run), "")

        assert seen == [(), (), "a"]
        assert trace_id.get() == "a"
        trace_id.reset(token)

    def test_is_without_the_callers_mutes(self, heard_while_muted: Callable[[], list[str]]) -> None:
        """As in a worker."""
        assert heard_while_muted() == ["by the task of a"]

    def test_is_muted_with_all_threads(self) -> None:
        """Whose tasks run here as well."""
        heard: list[str] = []
        see = receiver_task(post_save, sender=Item, name="shop.see")

        see(lambda **kwargs: Tag.objects.create(name="by the task"))
        receiver(post_save, sender=Tag)(lambda instance, **kwargs: heard.append(instance.name))
        with mute_signals(post_save, senders=[Tag], all_threads=True):
            Item.objects.create()
        Item.objects.create()

        assert heard == ["by the task"]


class TestFailure:
    def test_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """A queue's worker does not concern the request either: all others run."""
        ran: list[str] = []

        def fail(sender: Any, **kwargs: Any) -> None:
            raise LookupError("a")

        receiver_task(post_save, sender=Item, name="shop.fail")(fail)
        receiver_task(post_save, sender=Item, name="shop.see")(lambda **kwargs: ran.append("task"))
        receiver_on_commit(post_save, sender=Item)(lambda **kwargs: ran.append("on commit"))
        with transaction.atomic():
            Item.objects.create()

        assert ran == ["task", "on commit"]
        (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
        assert record.getMessage() == "Task shop.fail failed: LookupError('a')"
        assert record.exc_info is not None

    def test_is_raised_if_that_is_wanted(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The first, when all have run; those after it are logged."""
        settings.SIGNALS_PLUS_BACKENDS = _backends(raise_errors=True)
        ran: list[str] = []

        def fail(payload: str) -> None:
            raise LookupError(payload)

        messages = [(task(fail), "1"), (task(ran.append), "2"), (task(fail, "shop.b"), "3")]
        with pytest.raises(LookupError, match="1"):
            backends["default"].enqueue_many(messages)

        assert ran == ["2"]
        errors = [each.message for each in caplog.records if each.levelno == logging.ERROR]
        assert errors == ["Task shop.b failed: LookupError('3')"]

    def test_is_raised_from_the_transaction(self, settings: Any) -> None:
        """Its work is committed; a task that a task enqueued counts as well."""
        settings.SIGNALS_PLUS_BACKENDS = _backends(raise_errors=True)

        def save_tag(sender: Any, **kwargs: Any) -> None:
            Tag.objects.create(name="from the task")

        def fail(sender: Any, **kwargs: Any) -> None:
            raise LookupError("a")

        receiver_task(post_save, sender=Item, name="shop.save_tag")(save_tag)
        receiver_task(post_save, sender=Tag, name="shop.fail")(fail)
        with pytest.raises(LookupError, match="a"), transaction.atomic():
            Item.objects.create()

        assert Item.objects.count() == 1

    def test_of_the_process_is_its_own(self) -> None:
        """Ctrl+C; the next task of the thread does not wait for what was interrupted."""
        ran: list[str] = []

        def interrupt(payload: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            backends["default"].enqueue_many([(task(interrupt), ""), (task(ran.append), "1")])

        backends["default"].enqueue(task(ran.append), "2")
        assert ran == ["2"]

    def test_that_ends_the_process_does_so_when_all_have_run(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The handler of a signal has raised it, for all that is known."""
        ran: list[str] = []

        def leave(payload: str) -> None:
            sys.exit(3)

        with pytest.raises(SystemExit, match="3"):
            backends["default"].enqueue_many([(task(leave), "1"), (task(ran.append), "2")])

        assert ran == ["2"]
        assert "Task shop.a failed: SystemExit(3)" in caplog.messages

    def test_in_another_thread_ends_its_task_only(self) -> None:
        """No signal is handled there."""
        ran: list[str] = []

        def leave(payload: str) -> None:
            sys.exit(3)

        def enqueue() -> None:
            backends["default"].enqueue_many([(task(leave), "1"), (task(ran.append), "2")])
            ran.append("and on")

        with ThreadPoolExecutor(1) as pool:
            pool.submit(enqueue).result(10)

        assert ran == ["2", "and on"]


class TestFork:
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
    def test_by_a_task_begins_anew(self, tmp_path: Path) -> None:
        """What it enqueues runs, though its parent's task never ends there."""
        ran = tmp_path / "ran"

        def fork(payload: str) -> None:
            if (pid := os.fork()) == 0:
                backends["default"].enqueue(task(ran.write_text), "in the child")
                os._exit(0)
            os.waitpid(pid, 0)

        backends["default"].enqueue(task(fork), "")

        assert ran.read_text() == "in the child"


class TestUnsupported:
    @pytest.mark.parametrize(
        "asking",
        [
            {"queue_name": "mail"},
            {"queue_priority": 1},
            {"run_after": timedelta(seconds=1)},
            {"max_retries": 3},
        ],
    )
    def test_is_refused_or_ignored(self, asking: dict[str, Any], settings: Any) -> None:
        """As the settings say: the receivers of production can be tested as they are."""
        seen: list[Any] = []

        def see(sender: Any, **kwargs: Any) -> None:
            seen.append(1)

        with pytest.raises(InvalidReceiverError, match=r"'default' \(ImmediateBackend\)"):
            receiver_task(post_save, sender=Item, name="shop.see", **asking)(see)
        settings.SIGNALS_PLUS_BACKENDS = _backends(ignore_unsupported=True)
        receiver_task(post_save, sender=Item, name="shop.see", **asking)(see)

        Item.objects.create()

        assert isinstance(backends["default"], ImmediateBackend)
        assert seen == [1]
