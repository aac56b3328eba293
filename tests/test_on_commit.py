"""``receiver_on_commit``: when it runs, for what, and with which arguments."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.files.base import ContentFile
from django.db import connections, models, transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete
from django.dispatch import Signal

from signals_plus import Event, receiver_on_commit
from signals_plus.testing import run_on_commit
from tests.testapp.models import Item, ItemProxy, SpecialItem, Tag


class Recorder:
    """A receiver that remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **kwargs: Any) -> None:
        self.calls.append(kwargs)

    @property
    def names(self) -> list[str]:
        return [call["instance"].name for call in self.calls]


class Boom(Exception):
    """Raised on purpose."""


def connected(signal: Any, **options: Any) -> Recorder:
    recorder = Recorder()
    receiver_on_commit(signal, **options)(recorder)
    return recorder


@contextmanager
def rolled_back(using: str = "default") -> Iterator[None]:
    """Run the block in a transaction, or savepoint, that fails at its end."""
    with suppress(Boom), transaction.atomic(using=using):
        yield
        raise Boom


class TestWhenItRuns:
    def test_not_before_the_commit(self, database: str) -> None:
        """Inside the transaction nothing runs; after it, everything, in the order sent."""
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic():
            Item.objects.create(name="a")
            Item.objects.create(name="b")
            assert recorder.names == []

        assert recorder.names == ["a", "b"]

    def test_nothing_for_what_was_rolled_back(self, database: str) -> None:
        """Neither an inner rollback nor an outer one leaves anything behind."""
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic():
            with rolled_back():
                Item.objects.create(name="inner")
            Item.objects.create(name="kept")
        with run_on_commit(), rolled_back():
            Item.objects.create(name="outer")

        assert recorder.names == ["kept"]

    def test_a_full_rollback_does_not_swallow_the_next_transaction(self, database: str) -> None:
        """The same savepoint stack again, after a rollback, delivers."""
        recorder = connected(post_save, sender=Item)

        with run_on_commit():
            with rolled_back():
                Item.objects.create(name="lost")
            with transaction.atomic():
                Item.objects.create(name="kept")

        assert recorder.names == ["kept"]

    def test_update_or_create_in_a_loop_delivers_each_row(self, database: str) -> None:
        """A savepoint each does not matter."""
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic():
            for name in ("a", "b", "a"):
                Item.objects.update_or_create(name=name, defaults={"score": 1})

        assert recorder.names == ["a", "b", "a"]

    @pytest.mark.django_db(transaction=True)
    def test_at_once_outside_of_a_transaction(self) -> None:
        """In autocommit the row is there, and so is the call."""
        recorder = connected(post_save, sender=Item)

        Item.objects.create(name="a")

        assert recorder.names == ["a"]

    @pytest.mark.django_db(transaction=True)
    def test_a_row_that_saves_itself_in_its_own_receiver_ends(self) -> None:
        """What recursed on the stack by hand runs once."""
        calls = []

        @receiver_on_commit(post_save, sender=Item)
        def touch(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.score)
            instance.score += 1
            instance.save()

        with transaction.atomic():
            item = Item.objects.create(name="a")

        item.refresh_from_db()
        assert calls == [0]
        assert item.score == 1

    @pytest.mark.django_db(transaction=True)
    def test_a_test_suite_that_runs_on_commit_at_once_reaches_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The common patch of transaction.on_commit works on our receivers too."""
        recorder = connected(post_save, sender=Item)
        monkeypatch.setattr(transaction, "on_commit", lambda function, using=None: function())

        with transaction.atomic():
            Item.objects.create(name="a")
            assert recorder.names == ["a"]


class TestWhichDatabase:
    def test_the_one_of_the_event_not_the_default(self, database: str) -> None:
        """A row of another database waits for the commit of that database."""
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic(using="other"):
            Item(name="a").save(using="other")
            assert recorder.names == []

        assert recorder.names == ["a"]
        assert recorder.calls[0]["using"] == "other"

    def test_a_rollback_there_drops_it(self, database: str) -> None:
        """The commit of the default database does not deliver what another one rolled back."""
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic(), rolled_back(using="other"):
            Item(name="a").save(using="other")

        assert recorder.names == []

    def test_an_explicit_alias_goes_first(self, database: str) -> None:
        """using= on the decorator names the commit to wait for."""
        recorder = connected(post_save, sender=Item, using="other")

        with run_on_commit(), transaction.atomic(using="other"):
            Item.objects.create(name="a")
            assert recorder.names == []

        assert recorder.names == ["a"]

    def test_the_instance_says_it_when_the_signal_does_not(self, database: str) -> None:
        """A custom signal about a row waits for the database of the row."""
        paid = Signal()
        recorder = connected(paid)
        item = Item(name="a")
        item.save(using="other")

        with run_on_commit(), transaction.atomic(using="other"):
            paid.send(sender=None, instance=item)
            assert recorder.calls == []

        assert recorder.names == ["a"]

    def test_an_argument_of_that_name_need_not_be_a_database(self, database: str) -> None:
        """A custom signal's own ``using``, which has another meaning."""
        told = Signal()
        recorder = connected(told)
        item = Item(name="a")
        item.save(using="other")

        with run_on_commit(), transaction.atomic(using="other"):
            told.send(sender=None, instance=item, using="email")
            assert recorder.calls == []

        assert recorder.names == ["a"]
        assert recorder.calls[0]["using"] == "email"

    def test_the_router_says_it_for_a_model_without_a_row(
        self, database: str, settings: Any
    ) -> None:
        """A custom signal whose sender is a model waits for the database it is written to."""
        settings.DATABASE_ROUTERS = [f"{__name__}.OtherRouter"]
        imported = Signal()
        recorder = connected(imported)

        with run_on_commit(), transaction.atomic(using="other"):
            imported.send(sender=Tag)
            assert recorder.calls == []

        assert len(recorder.calls) == 1

    def test_the_default_when_nothing_says_it(self, database: str) -> None:
        """A signal about nothing in any database waits for the default one."""
        done = Signal()
        recorder = connected(done)

        with run_on_commit(), transaction.atomic():
            done.send(sender=object)
            assert recorder.calls == []

        assert len(recorder.calls) == 1


class OtherRouter:
    """Writes everything to the other database."""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "other"


class TestWhatItIsGiven:
    def test_the_arguments_of_the_signal(self, database: str) -> None:
        """A receiver written for Django's own decorator works unchanged."""
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic():
            item = Item.objects.create(name="a")
            item.save(update_fields=["name"])

        first, second = recorder.calls
        assert set(first) == {
            "signal", "sender", "instance", "created", "raw", "using", "update_fields",
        }  # fmt: skip
        assert (first["signal"], first["sender"]) == (post_save, Item)
        assert (first["created"], second["created"]) == (True, False)
        assert second["update_fields"] == frozenset({"name"})

    def test_later_unsaved_changes_do_not_reach_it(self, database: str) -> None:
        """The instance is as it was when the signal was sent, mutable values and state too."""
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic():
            item = Item.objects.create(name="a", data={"lines": [1]})
            item.name = "changed"
            item.data["lines"].append(2)
            item._state.db = "nowhere"

        received = recorder.calls[0]["instance"]
        assert received is not item
        assert (received.name, received.data) == ("a", {"lines": [1]})
        assert received._state.db == "default"
        assert received == Item(pk=item.pk)

    def test_a_file_that_is_replaced_later_is_still_the_old_one(
        self, database: str, settings: Any, tmp_path: Any
    ) -> None:
        """A file field is mutable: its name is captured."""
        settings.MEDIA_ROOT = tmp_path
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic():
            item = Item(name="a")
            item.file.save("old.txt", ContentFile(b"old"))
            item.file.save("new.txt", ContentFile(b"new"), save=False)

        received = recorder.calls[0]["instance"]
        assert received.file.name == "old.txt"
        assert received.file.instance is received

    def test_what_it_changes_stays_with_it(self, database: str) -> None:
        """The sender's instance is not touched by a receiver, nor is another receiver's."""
        other = Recorder()

        @receiver_on_commit(post_save, sender=Item, priority=1)
        def rename(instance: Item, **kwargs: Any) -> None:
            instance.name = "renamed"

        receiver_on_commit(post_save, sender=Item)(other)

        with run_on_commit():
            item = Item.objects.create(name="a")

        assert item.name == "a"
        assert other.names == ["a"]

    @pytest.mark.parametrize("signal", [pre_delete, post_delete])
    def test_a_deleted_row_has_its_pk(self, database: str, signal: Any) -> None:
        """Django sets the pk of the instance to None; the receiver still knows it."""
        recorder = connected(signal, sender=Item)
        item = Item.objects.create(name="one")
        pk = item.pk

        with run_on_commit(), transaction.atomic():
            item.delete()

        assert item.pk is None
        assert [call["instance"].pk for call in recorder.calls] == [pk]

    def test_rows_deleted_by_a_queryset_have_their_pks(self, database: str) -> None:
        """QuerySet.delete() sends a signal for each row, and origin keeps no row in memory."""
        pks = [Item.objects.create(name=name).pk for name in "ab"]
        recorder = connected(post_delete, sender=Item)
        rows = Item.objects.filter(pk__in=pks)
        list(rows)

        with run_on_commit(), transaction.atomic():
            rows.delete()

        assert sorted(call["instance"].pk for call in recorder.calls) == pks
        origin = recorder.calls[0]["origin"]
        assert isinstance(origin, models.QuerySet)
        assert list(origin) == []

    def test_the_instance_that_delete_was_called_on_is_its_origin(self, database: str) -> None:
        """Identity inside one event is kept."""
        recorder = connected(post_delete, sender=Item)

        with run_on_commit():
            Item.objects.create(name="a").delete()

        assert recorder.calls[0]["origin"] is recorder.calls[0]["instance"]

    def test_the_set_of_keys_of_a_relation(self, database: str) -> None:
        """pk_set is a live set in Django; the captured one does not change."""
        recorder = connected(m2m_changed, sender=Item.tags.through)
        item, tag = Item.objects.create(name="a"), Tag.objects.create(name="t")

        @receiver_on_commit(m2m_changed, sender=Item.tags.through, priority=1)
        def empty(pk_set: set[int] | None, **kwargs: Any) -> None:
            (pk_set or set()).clear()

        with run_on_commit(), transaction.atomic():
            item.tags.add(tag)

        assert [(call["action"], call["pk_set"]) for call in recorder.calls] == [
            ("pre_add", {tag.pk}),
            ("post_add", {tag.pk}),
        ]

    def test_deferred_fields_stay_deferred(self, database: str) -> None:
        """Capturing a row does not load what the sender did not load."""
        pk = Item.objects.create(name="a").pk
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic():
            Item.objects.only("name").get(pk=pk).save()

        assert "score" in recorder.calls[0]["instance"].get_deferred_fields()

    def test_values_of_custom_signals(self, database: str) -> None:
        """Rows and containers are copied to any depth, other objects are shared."""
        shipped = Signal()
        recorder = connected(shipped)
        item, shared = Item.objects.create(name="a"), object()
        lines: list[Any] = [{"item": item}, (shared, {1})]

        with run_on_commit(), transaction.atomic():
            shipped.send(sender=None, lines=lines)
            item.name = "changed"
            lines.append("later")

        received = recorder.calls[0]["lines"]
        assert received[0]["item"].name == "a"
        assert received[1] == (shared, {1})
        assert len(received) == 2

    def test_a_list_that_holds_itself(self, database: str) -> None:
        """A cycle in an argument is copied as a cycle."""
        looped = Signal()
        recorder = connected(looped)
        ring: list[Any] = []
        ring.append(ring)

        with run_on_commit():
            looped.send(sender=None, ring=ring)

        received = recorder.calls[0]["ring"]
        assert received[0] is received
        assert received is not ring

    @pytest.mark.parametrize("model", [SpecialItem, ItemProxy])
    def test_children_and_proxies_keep_their_class(self, database: str, model: type[Item]) -> None:
        """The copy is of the sender's own class."""
        recorder = connected(post_save, sender=model)

        with run_on_commit():
            model.objects.create(name="a")

        assert type(recorder.calls[0]["instance"]) is model


class TestRobust:
    def test_a_failing_receiver_is_logged_and_the_next_run(
        self, database: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The saved data is fine, the caller hears nothing, the log has the traceback."""
        later: list[str] = []

        @receiver_on_commit(post_save, sender=Item)
        def fails(**kwargs: Any) -> None:
            raise Boom("no printer")

        recorder = connected(post_save, sender=Item)

        with run_on_commit(robust=True), transaction.atomic():
            Item.objects.create(name="a")
            transaction.on_commit(lambda: later.append("theirs"))

        assert recorder.names == ["a"]
        assert later == ["theirs"]
        (record,) = [each for each in caplog.records if each.name == "signals_plus"]
        assert record.levelno == logging.ERROR
        assert record.exc_info is not None
        assert record.exc_info[0] is Boom
        assert "fails" in record.getMessage()
        assert "testapp.Item pk=" in record.getMessage()

    def test_not_robust_runs_for_each_event(self, database: str) -> None:
        """As long as nothing fails."""
        names: list[str] = []
        receiver_on_commit(post_save, sender=Item, robust=False)(
            lambda instance, **kwargs: names.append(instance.name)
        )

        with run_on_commit(), transaction.atomic():
            for name in "ab":
                Item.objects.create(name=name)

        assert names == ["a", "b"]

    def test_not_robust_lets_the_error_out(self, database: str) -> None:
        """As Django's own on_commit: out of atomic(), with the data committed."""

        @receiver_on_commit(post_save, sender=Item, robust=False)
        def fails(**kwargs: Any) -> None:
            raise Boom

        with pytest.raises(Boom), run_on_commit(), transaction.atomic():
            Item.objects.create(name="a")

        assert Item.objects.filter(name="a").exists()

    @pytest.mark.parametrize("kind", ["partial", "object"])
    def test_callables_without_a_name_may_fail_too(
        self, database: str, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Django's own robust handling stumbles over callables without __qualname__."""

        class Fails:
            def __call__(self, **kwargs: Any) -> None:
                raise Boom

        function = Fails() if kind == "object" else functools.partial(Fails.__call__, Fails())
        receiver_on_commit(post_save, sender=Item)(function)
        recorder = connected(post_save, sender=Item)

        with run_on_commit(robust=True), transaction.atomic():
            Item.objects.create(name="a")

        assert recorder.names == ["a"]
        assert "Fails" in caplog.text

    @pytest.mark.django_db(transaction=True)
    def test_what_ends_the_process_is_not_held_back(self) -> None:
        """SystemExit is not an error of a receiver."""

        @receiver_on_commit(post_save, sender=Item)
        def leave(**kwargs: Any) -> None:
            raise SystemExit

        with pytest.raises(SystemExit):
            Item.objects.create(name="a")


class TestAsync:
    def test_async_functions_run_after_the_commit(self, database: str) -> None:
        """async def receivers are awaited, with the same arguments."""
        names: list[str] = []

        @receiver_on_commit(post_save, sender=Item)
        async def announce(instance: Item, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            names.append(instance.name)

        with run_on_commit(), transaction.atomic():
            Item.objects.create(name="a")
            assert names == []

        assert names == ["a"]

    @pytest.mark.django_db(transaction=True)
    def test_asave_waits_for_the_transaction_of_its_thread(self) -> None:
        """A save inside sync_to_async inside async code is deferred as any other."""
        recorder = connected(post_save, sender=Item)

        def work() -> None:
            with transaction.atomic():
                Item.objects.create(name="a")
                assert recorder.names == []

        async def view() -> None:
            await sync_to_async(work)()
            await Item.objects.acreate(name="b")

        async_to_sync(view)()

        assert recorder.names == ["a", "b"]

    @pytest.mark.django_db(transaction=True)
    def test_asend_defers_as_send_does(self) -> None:
        """asend() and its robust form reach deferred receivers, async ones too."""
        paid = Signal()
        recorder, names = connected(paid), []

        @receiver_on_commit(paid)
        async def announce(name: str, **kwargs: Any) -> None:
            names.append(name)

        async def view() -> None:
            await paid.asend(sender=None, name="a")
            await paid.asend_robust(sender=None, name="b")

        async_to_sync(view)()

        assert [call["name"] for call in recorder.calls] == ["a", "b"]
        assert names == ["a", "b"]

    @pytest.mark.django_db(transaction=True)
    def test_its_queries_see_what_was_committed(self) -> None:
        """The async ORM inside an async receiver works and finds the row."""
        found: list[bool] = []

        @receiver_on_commit(post_save, sender=Item)
        async def look(instance: Item, **kwargs: Any) -> None:
            found.append(await Item.objects.filter(pk=instance.pk).aexists())

        with transaction.atomic():
            Item.objects.create(name="a")

        assert found == [True]


class TestConnection:
    def test_it_is_strong(self, database: str) -> None:
        """A closure that nobody keeps goes on receiving."""
        names: list[str] = []

        def connect() -> None:
            receiver_on_commit(post_save, sender=Item)(
                lambda instance, **kwargs: names.append(instance.name)
            )

        connect()
        gc.collect()
        with run_on_commit():
            Item.objects.create(name="a")

        assert names == ["a"]

    def test_context_of_the_sender_is_not_promised_but_its_arguments_are(
        self, database: str
    ) -> None:
        """What has to reach the receiver is sent with the signal, not left in a ContextVar."""
        user: ContextVar[str] = ContextVar("user", default="nobody")
        done, seen = Signal(), []

        @receiver_on_commit(done)
        def log(by: str, **kwargs: Any) -> None:
            seen.append(by)

        with run_on_commit(), transaction.atomic():
            token = user.set("ann")
            done.send(sender=None, by=user.get())
            user.reset(token)

        assert seen == ["ann"]

    @pytest.mark.django_db(transaction=True)
    def test_manual_transaction_management_is_refused_as_by_django(self) -> None:
        """With autocommit off and no atomic, nobody can know when a commit comes."""
        done = Signal()
        connected(done)
        transaction.set_autocommit(False)
        try:
            with pytest.raises(transaction.TransactionManagementError):
                done.send(sender=None)
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
            connections["default"].close()


class TestValuesOfFields:
    @pytest.mark.parametrize("made", [OrderedDict, lambda data: defaultdict(int, data)])
    def test_of_a_kind_of_their_own_are_copied_too(
        self, database: str, made: Callable[[Any], Any]
    ) -> None:
        """A subclass of dict is as mutable as dict."""
        recorder = connected(post_save, sender=Item)

        with run_on_commit(), transaction.atomic():
            item = Item.objects.create(name="a", data=made({"a": 1}))
            item.data["a"] = 2

        assert recorder.calls[0]["instance"].data == {"a": 1}

    def test_that_cannot_be_copied_are_shared(self, database: str) -> None:
        """A field that holds a lock does not keep its row from being saved."""
        recorder = connected(post_save, sender=Item)
        lock = threading.Lock()

        with run_on_commit(), transaction.atomic():
            item = Item.objects.create(name="a")
            item.data = lock
            post_save.send(Item, instance=item, created=False, raw=False, using="default")

        assert recorder.calls[1]["instance"].data is lock


class TestSyncSendInsideALoop:
    @pytest.mark.django_db(transaction=True)
    def test_reaches_deferred_receivers_at_once(self) -> None:
        """No transaction can be open where a loop runs, so there is nothing to wait for."""
        done, seen = Signal(), []
        recorder = connected(done)

        @receiver_on_commit(done)
        async def announce(number: int, **kwargs: Any) -> None:
            seen.append(number)

        async def view() -> None:
            done.send(sender=None, number=7)

        asyncio.run(view())

        assert seen == [7]
        assert recorder.calls[0]["number"] == 7


class TestEvent:
    def test_can_be_put_into_a_set(self) -> None:
        """An event is itself, whatever it holds."""
        event = Event(signal=post_save, sender=Item, kwargs={"created": True}, using="default")

        assert {event, event} == {event}
        assert (event.instance, event.created, event.update_fields) == (None, True, None)
