"""Task receivers: when they are enqueued, what arrives, and what happens when it does not.

Tasks are captured; tests/backends shows the same through Celery and real brokers.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import Signal
from django.test.utils import isolate_apps
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from signals_plus import lineage, receiver, receiver_task, recursion_guard
from signals_plus.backends.handler import backends
from signals_plus.exceptions import (
    InvalidReceiverError,
    PayloadError,
    RecursionLimitError,
    SettingsError,
    UnknownReceiverError,
)
from signals_plus.registry import registry
from signals_plus.signals import enqueue_failed
from signals_plus.testing import capture_signals, capture_tasks, receivers_of
from tests.queues import RecordingBackend
from tests.testapp.models import Item, ItemProxy, SpecialItem, Tag

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


first_signal = Signal()
second_signal = Signal()


received: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def _nothing_received() -> None:
    received.clear()


def handle(sender: Any, **kwargs: Any) -> None:
    """A task receiver."""
    received.append({"sender": sender, **kwargs})


async def handle_later(sender: Any, **kwargs: Any) -> None:
    received.append({"sender": sender, **kwargs})


def save_again(sender: Any, instance: Item, **kwargs: Any) -> None:
    received.append({"sender": sender, "instance": instance, **kwargs})
    instance.score += 1
    instance.save()


def save_tag(sender: Any, instance: Item, **kwargs: Any) -> None:
    received.append({"sender": sender, "instance": instance, **kwargs})
    Tag.objects.get(name=str(instance.pk)).save()


def save_item(sender: Any, instance: Tag, **kwargs: Any) -> None:
    received.append({"sender": sender, "instance": instance, **kwargs})
    Item.objects.get(pk=int(instance.name)).save()


def make_another(sender: Any, **kwargs: Any) -> None:
    received.append(kwargs)
    Item.objects.create(name="another")


class TestEnqueueing:
    def test_waits_for_the_commit_on_the_events_own_database(self, tasks: capture_tasks) -> None:
        """An event about a row of another database waits for that one."""
        receiver_task(post_save, sender=Item)(handle)

        with transaction.atomic(using="other"):
            with transaction.atomic():
                item = Item.objects.using("other").create(name="a")
            tasks.assert_nothing_enqueued()

        tasks.assert_enqueued(handle, instance=item, times=1)

    def test_waits_for_the_database_it_is_told(self, tasks: capture_tasks) -> None:
        """using= names the database whose commit is waited for; the row stays on its own."""
        receiver_task(post_save, sender=Item, using="other")(handle)

        with transaction.atomic(using="other"):
            Item.objects.create(name="a")
            tasks.assert_nothing_enqueued()
        tasks.run()

        assert received[0]["instance"]._state.db == "default"

    @pytest.mark.parametrize("whole", [True, False])
    def test_forgets_what_was_rolled_back(self, whole: bool, tasks: capture_tasks) -> None:
        """A transaction, or a savepoint in one that commits."""
        receiver_task(post_save, sender=Item)(handle)

        with transaction.atomic():
            kept = Item.objects.create(name="kept")
            with transaction.atomic():
                Item.objects.create(name="undone")
                transaction.set_rollback(True)
            transaction.set_rollback(whole)

        tasks.assert_enqueued(handle, times=0 if whole else 1)
        tasks.assert_enqueued(handle, instance=kept, times=0 if whole else 1)

    def test_needs_the_app_installed(
        self, tasks: capture_tasks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without it no worker would find the receiver: an error before the commit."""
        receiver_task(post_save, sender=Item)(handle)
        monkeypatch.setattr(registry, "is_live", False)

        with pytest.raises(SettingsError, match="INSTALLED_APPS does not have 'signals_plus'"):
            Item.objects.create(name="a")

        tasks.assert_nothing_enqueued()

    def test_of_an_argument_that_cannot_travel_rolls_back(self, tasks: capture_tasks) -> None:
        """The transaction fails while it still can: after the commit it would be too late."""
        paid = Signal()
        receiver_task(paid)(handle)

        @transaction.atomic
        def pay() -> None:
            item = Item.objects.create(name="a")
            paid.send(sender=None, order={"items": [item, object()]})

        with pytest.raises(PayloadError) as raised:
            pay()

        assert Item.objects.count() == 0
        tasks.assert_nothing_enqueued()
        assert raised.value.receiver == f"{__name__}.handle"
        assert raised.value.argument == "order.items[1]"
        assert "builtins.object" in str(raised.value)

    def test_hands_over_what_the_decorator_was_told(self, tasks: capture_tasks) -> None:
        """The backend gets the name, the queue's name, the time and the options untouched."""
        receiver_task(
            post_save, sender=Item, name="shop.mail", queue_name="mail",
            run_after=timedelta(minutes=5), autoretry_for=(OSError,),
        )(handle)  # fmt: skip

        Item.objects.create(name="a")

        tasks.assert_enqueued(
            handle, times=1, backend="default", queue_name="mail", run_after=timedelta(minutes=5),
            options={"autoretry_for": (OSError,)},
        )  # fmt: skip
        assert [task.name for task in tasks] == ["shop.mail"]

    def test_says_in_the_log_what_it_enqueues(
        self, tasks: capture_tasks, caplog: pytest.LogCaptureFixture
    ) -> None:
        """At the level of DEBUG, with the task's name, before the queue is given it."""
        receiver_task(post_save, sender=Item, name="shop.mail", batch=True)(handle)

        with caplog.at_level("DEBUG", "signals_plus"), transaction.atomic():
            Item.objects.create(name="a")
            Item.objects.create(name="b")

        (record,) = [each for each in caplog.records if hasattr(each, "task_name")]
        assert record.getMessage() == "Task shop.mail is enqueued for 2 events"
        assert record.task_name == "shop.mail"

    def test_uses_the_settings_of_the_moment(self, queue: RecordingBackend, settings: Any) -> None:
        """Settings that change between the signal and the commit leave no half-known task."""
        receiver_task(post_save, sender=Item)(handle)

        with transaction.atomic():
            Item.objects.create(name="a")
            settings.SIGNALS_PLUS_BACKENDS = {
                "default": {"BACKEND": "tests.queues.RecordingBackend", "OPTIONS": {}}
            }

        assert len(backends["default"].enqueued) == 1  # type: ignore[attr-defined]


class TestReceiverOfEverySender:
    def test_is_not_enqueued_for_what_queues_write(self, tasks: capture_tasks) -> None:
        """It would enqueue itself for the row that its own message is, for ever."""
        receiver_task(post_save)(handle)

        Session.objects.create(session_key="a", expire_date=timezone.now())
        MigrationRecorder.Migration.objects.create(app="a", name="b")
        MigrationRecorder.Migration.objects.all().filter(app="a").delete()
        Item.objects.create(name="a")

        assert len(tasks) == 1
        tasks.assert_enqueued(handle, sender=Item)

    def test_excludes_what_the_setting_names(self, tasks: capture_tasks, settings: Any) -> None:
        """Apps and single models, in place of the default list."""
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = ["testapp.tag"]
        receiver_task(post_save)(handle)

        Session.objects.create(session_key="a", expire_date=timezone.now())
        Tag.objects.create(name="a")

        assert len(tasks) == 1
        tasks.assert_enqueued(handle, sender=Session)

    def test_that_names_the_model_gets_it(self, tasks: capture_tasks) -> None:
        """The list is about receivers that did not choose."""
        receiver_task(post_save, sender=Session)(handle)

        session = Session.objects.create(session_key="a", expire_date=timezone.now())

        tasks.assert_enqueued(handle, instance=session, times=1)


class TestSessionsOfTheProjectsOwn:
    @isolate_apps("tests.testapp")
    def test_are_excluded_like_djangos(self, tasks: capture_tasks) -> None:
        """A model made of Django's base for sessions is one, whatever its app."""

        class OwnSession(AbstractBaseSession):
            class Meta:
                app_label = "testapp"

        receiver_task(post_save)(handle)
        row = OwnSession(session_key="b")
        row._state.adding = False

        post_save.send(OwnSession, instance=row, created=True, raw=False, using="default")

        tasks.assert_nothing_enqueued()


class TestArguments:
    @pytest.mark.parametrize("function", [handle, handle_later])
    @pytest.mark.parametrize("alias", ["default", "other"])
    def test_arrive_as_they_were_sent(
        self, alias: str, function: Callable[..., Any], tasks: capture_tasks
    ) -> None:
        """A receiver written for @receiver runs unchanged, async ones too."""
        item = Item.objects.using(alias).create(name="a")
        receiver_task(post_save, sender=Item)(function)
        item.score = 5
        item.save(update_fields=["score"])

        tasks.run()

        (kwargs,) = received
        assert kwargs.pop("instance") == item
        assert kwargs == {
            "signal": post_save, "sender": Item, "created": False, "raw": False, "using": alias,
            "update_fields": frozenset({"score"}),
        }  # fmt: skip

    @pytest.mark.parametrize("model", [Item, SpecialItem, ItemProxy])
    def test_name_the_sender(self, model: type[models.Model], tasks: capture_tasks) -> None:
        """The class that was saved: the child, the proxy."""
        receiver_task(post_save, sender=model)(handle)

        model._default_manager.create(name="a")
        tasks.run()

        assert received[0]["sender"] is model
        assert type(received[0]["instance"]) is model

    def test_of_a_fixture_say_so(self, tasks: capture_tasks) -> None:
        """With raw=True the receiver also gets rows that a fixture loads."""
        receiver_task(post_save, sender=Tag, raw=True)(handle)
        tag = Tag(pk=1, name="a")
        models.Model.save_base(tag, raw=True)

        tasks.run()

        assert received[0]["raw"] is True

    def test_of_a_custom_signal(self, tasks: capture_tasks) -> None:
        """The receiver is told which of its signals it was."""
        paid, refunded = Signal(), Signal()
        receiver_task([paid, refunded])(handle)
        item = Item.objects.create(name="a")

        refunded.send(sender=Item, order=item, cents=[1, 2])
        tasks.run()

        assert received == [{"signal": refunded, "sender": Item, "order": item, "cents": [1, 2]}]

    def test_that_are_false_are_not_missing(self, tasks: capture_tasks) -> None:
        """Nothing is left out because it is empty, zero or None."""
        sent = Signal()
        receiver_task(sent)(handle)
        arguments = {"a": 0, "b": "", "c": None, "d": False, "e": [], "f": {}, "g": frozenset()}

        sent.send(sender=None, **arguments)
        tasks.run()

        assert received == [{"signal": sent, "sender": None, **arguments}]

    def test_that_are_dates_come_back_as_dates(self, tasks: capture_tasks) -> None:
        """With their zone, beside whatever else a custom signal sends."""
        sent = Signal()
        receiver_task(sent)(handle)
        moment = datetime(2026, 11, 21, 6, 30, tzinfo=ZoneInfo("Europe/Berlin"))

        sent.send(sender=None, at=moment, days=[moment.date()])
        tasks.run()

        assert (received[0]["at"], received[0]["days"]) == (moment, [moment.date()])
        assert received[0]["at"].tzinfo is moment.tzinfo

    def test_come_from_the_database_when_the_task_runs(self, tasks: capture_tasks) -> None:
        """The row is loaded, not carried: the task sees what is saved by then."""
        receiver_task(post_save, sender=Item)(handle)
        item = Item.objects.create(name="a")
        item.name = "never saved"

        tasks.run()

        assert received[0]["instance"].name == "a"


class TestLazyObject:
    """``request.user`` is one."""

    def test_is_the_row_behind_it_wherever_one_is_named(self, tasks: capture_tasks) -> None:
        """In the payload, in the chain that travels, and for the guard."""
        item = Item.objects.create(name="a")
        lazy, sent = SimpleLazyObject(lambda: item), Signal()
        names: list[str] = []

        @receiver(sent)
        def tag(instance: Item, **kwargs: Any) -> None:
            Tag.objects.create(name=instance.name)

        receiver_task(sent, name="lazy")(lambda instance, **_: names.append(instance.name))
        receiver_task(post_save, sender=Tag, name="tags")(
            lambda **_: sent.send(sender=Item, instance=SimpleLazyObject(lambda: item))
        )
        sent.send(sender=Item, instance=lazy)

        tasks.run()

        assert names == ["a", "a"]
        assert Tag.objects.count() == 1


class TestOnMissing:
    def send_and_delete(self, **options: Any) -> None:
        receiver_task(post_save, sender=Item, **options)(handle)
        Item.objects.create(name="a")
        Item.objects.all().delete()

    def test_skips_and_says_so(
        self, tasks: capture_tasks, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The default: a row that is gone needs nothing any more."""
        self.send_and_delete()

        with caplog.at_level(logging.INFO, "signals_plus"):
            tasks.run()

        assert received == []
        assert f"Task {__name__}.handle skipped 1 of 1 events, whose rows are gone" in caplog.text

    def test_raises(self, tasks: capture_tasks) -> None:
        """For the queue's own retries: the row may be on its way to a replica."""
        self.send_and_delete(on_missing="raise")

        with pytest.raises(Item.DoesNotExist):
            tasks.run()

    def test_none(self, tasks: capture_tasks) -> None:
        """The function runs without the row, and with all else."""
        self.send_and_delete(on_missing="none")

        tasks.run()

        assert received[0]["instance"] is None
        assert received[0]["created"] is True


class TestRecursion:
    @pytest.mark.parametrize("immediate", [True, False])
    def test_a_task_that_saves_its_own_row_runs_once(self, immediate: bool) -> None:
        """The guard is in the message: the worker knows what caused the save."""
        with capture_tasks(immediate=immediate) as tasks:
            receiver_task(post_save, sender=Item)(save_again)
            item = Item.objects.create(name="a")
            tasks.run()

        tasks.assert_enqueued(save_again, instance=item, times=1)
        assert len(received) == 1
        item.refresh_from_db()
        assert item.score == 1

    @pytest.mark.parametrize("immediate", [True, False])
    def test_a_pair_of_tasks_ends(self, immediate: bool) -> None:
        """A saves B, whose task saves A: each runs once."""
        item = Item.objects.create(name="a")
        tag = Tag.objects.create(name=str(item.pk))

        with capture_tasks(immediate=immediate) as tasks:
            receiver_task(post_save, sender=Item)(save_tag)
            receiver_task(post_save, sender=Tag)(save_item)
            item.save()
            tasks.run()

        tasks.assert_enqueued(save_tag, instance=item, times=1)
        tasks.assert_enqueued(save_item, instance=tag, times=1)
        assert [kwargs["sender"] for kwargs in received] == [Item, Tag]

    def test_the_guard_of_a_named_closure_holds_in_another_process(
        self, tasks: capture_tasks
    ) -> None:
        """name= makes a task of a closure, whose own identity means nothing elsewhere."""

        def made(sender: Any, instance: Item, **kwargs: Any) -> None:
            save_again(sender, instance, **kwargs)

        receiver_task(post_save, sender=Item, name="shop.made")(made)
        Item.objects.create(name="a")
        (task,) = tasks

        links = json.loads(task.payload)["lineage"]

        assert str(id(made)) not in json.dumps(links)
        tasks.run()
        assert len(received) == 1

    def test_the_guard_holds_when_the_function_has_moved(self, tasks: capture_tasks) -> None:
        """A deployment changes lines; messages of before are still guarded by the task's name."""
        receiver_task(post_save, sender=Item, name="shop.moved")(save_again)
        Item.objects.create(name="a")
        tasks.assert_enqueued(save_again, times=1)
        post_save.disconnect(save_again, sender=Item)
        registry._receivers.clear()

        def moved(sender: Any, instance: Item, **kwargs: Any) -> None:
            save_again(sender, instance, **kwargs)

        receiver_task(post_save, sender=Item, name="shop.moved")(moved)
        tasks.run()

        assert len(received) == 1

    def test_a_block_guards_a_task_receiver_too(self, tasks: capture_tasks) -> None:
        """recursion_guard(function, row) keeps it from being enqueued."""
        item = Item.objects.create(name="a")
        receiver_task(post_save, sender=Item)(handle)

        with recursion_guard(handle, item):
            item.save()

        tasks.assert_nothing_enqueued()

    def test_a_chain_over_new_rows_ends(self, tasks: capture_tasks, settings: Any) -> None:
        """No guard by row can see it: its length can."""
        settings.SIGNALS_PLUS_MAX_CHAIN_DEPTH = 5
        receiver_task(post_save, sender=Item)(make_another)

        Item.objects.create(name="a")
        with pytest.raises(RecursionLimitError, match="number 6 in a chain of at most 5"):
            tasks.run()

        assert len(received) == 5

    def test_the_lineage_is_gone_after_the_task(self, tasks: capture_tasks) -> None:
        """A worker runs one task after the other in one context."""
        receiver_task(post_save, sender=Item)(save_again)
        Item.objects.create(name="a")
        (task,) = tasks

        task.task.run(task.payload)

        assert len(received) == 1
        assert lineage.current() == ()


class TestWhatArrives:
    def test_of_a_delete(self, tasks: capture_tasks) -> None:
        """The row as it was, its key included, though it is gone when the task runs."""
        receiver_task(post_delete, sender=Item)(handle)
        item = Item.objects.create(name="a", score=5, data={"a": [1]})
        pk = item.pk

        with transaction.atomic():
            item.delete()
        tasks.run()

        (call,) = received
        assert (call["instance"].pk, call["instance"].score) == (pk, 5)
        assert (call["instance"].data, call["origin"]) == ({"a": [1]}, Item)

    def test_of_m2m_changed(self, tasks: capture_tasks) -> None:
        """The set of keys, as it was when the signal was sent."""
        receiver_task(m2m_changed, sender=Item.tags.through)(handle)
        item, tag = Item.objects.create(name="a"), Tag.objects.create(name="b")

        item.tags.add(tag)
        tasks.run()

        last = received[-1]
        assert (last["sender"], last["model"], last["action"]) == (
            Item.tags.through, Tag, "post_add",
        )  # fmt: skip
        assert (last["instance"], last["pk_set"], last["reverse"]) == (item, {tag.pk}, False)

    def test_from_a_sender_that_is_no_model(self, tasks: capture_tasks) -> None:
        """One that the decorator names is known to the worker too."""
        paid = Signal()
        receiver_task(paid, sender=Decimal, name="shop.paid")(handle)

        paid.send(sender=Decimal, amount=Decimal("1.50"))
        tasks.run()

        (call,) = received
        assert call["sender"] is Decimal
        assert call["amount"] == Decimal("1.50")

    def test_after_the_signals_of_the_decorator_were_reordered(self, tasks: capture_tasks) -> None:
        """A deployment between the message and its worker."""
        receiver_task([first_signal, second_signal], name="shop.reordered")(handle)
        first_signal.send(sender=None, number=1)
        registry._receivers.clear()
        first_signal.disconnect(handle)
        second_signal.disconnect(handle)
        receiver_task([second_signal, first_signal], name="shop.reordered")(handle)

        tasks.run()

        assert received[0]["signal"] is first_signal


class TestWorker:
    def test_refuses_a_payload_for_another_receiver(self, tasks: capture_tasks) -> None:
        """A payload that was put on the wrong task runs nothing."""
        receiver_task(post_save, sender=Item)(handle)
        receiver_task(post_save, sender=Tag)(save_item)
        Item.objects.create(name="a")
        (task,) = tasks

        with pytest.raises(PayloadError, match=rf"is for receiver '{__name__}.handle'"):
            registry[f"{__name__}.save_item"].task.run(task.payload)

        assert received == []

    def test_says_which_receiver_is_missing(self, tasks: capture_tasks) -> None:
        """A worker of an older release, or without the module."""
        receiver_task(post_save, sender=Item)(handle)
        Item.objects.create(name="a")
        registry._receivers.clear()

        with pytest.raises(UnknownReceiverError, match=f"'{__name__}.handle' in this process"):
            tasks.run()

    def test_refuses_a_signal_the_receiver_has_left(self, tasks: capture_tasks) -> None:
        """The message of a connection that is no more."""
        receiver_task([post_save], sender=Item, name="shop.left")(handle)
        Item.objects.create(name="a")
        post_save.disconnect(handle, sender=Item)
        registry._receivers.clear()
        receiver_task(Signal(), name="shop.left")(save_again)

        with pytest.raises(PayloadError, match="signal 'post_save' is not one this receiver"):
            tasks.run()


class TestFailure:
    def test_is_sent_and_logged(
        self,
        queue: RecordingBackend,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The request goes on; whoever listens has all to enqueue it again."""
        receiver_task(post_save, sender=Item)(handle)
        queue.refuses = True

        with capture_signals(enqueue_failed) as sent:
            Item.objects.create(name="a")

        (failure,) = sent.of(
            enqueue_failed, sender=RecordingBackend, receiver=handle, task_name=f"{__name__}.handle"
        )
        assert len(sent) == 1
        assert {*failure.kwargs} == {"receiver", "task_name", "payload", "error"}
        assert str(failure.kwargs["error"]) == "Backend 'default' is down"
        assert f"Task {__name__}.handle was not enqueued: Backend 'default' is down" in caplog.text
        registry[failure.kwargs["task_name"]].run(failure.kwargs["payload"])
        assert len(received) == 1

    @pytest.mark.parametrize("bare", [True, False], ids=["partial", "function"])
    def test_of_its_own_receiver_hurts_nobody(self, bare: bool, queue: RecordingBackend) -> None:
        """Also one that Django itself cannot log, for it has no name."""

        def fails(**kwargs: Any) -> None:
            raise LookupError

        listener = functools.partial(fails) if bare else fails
        ran: list[str] = []
        receiver_task(post_save, sender=Item)(handle)
        queue.refuses = True
        enqueue_failed.connect(listener)

        with capture_signals(enqueue_failed) as sent, transaction.atomic():
            Item.objects.create(name="a")
            transaction.on_commit(lambda: ran.append("later"))

        sent.assert_sent(enqueue_failed, times=1)
        assert ran == ["later"]

    def test_of_a_task_for_the_row_that_records_it_is_not_sent_again(
        self, queue: RecordingBackend
    ) -> None:
        """A listener that saves a row, and a receiver of every sender: no endless loop."""

        def keep(**kwargs: Any) -> None:
            Tag.objects.create(name="failed")

        receiver_task(post_save)(handle)
        queue.refuses = True
        enqueue_failed.connect(keep)

        with capture_signals(enqueue_failed) as sent:
            Item.objects.create(name="a")

        sent.assert_sent(enqueue_failed, times=1)
        assert Tag.objects.count() == 1


class TestRefusal:
    def test_of_an_option_leaves_nothing_behind(self, queue: RecordingBackend) -> None:
        """What the queue refuses is neither connected nor known to workers."""
        with pytest.raises(InvalidReceiverError, match="is refused"):
            receiver_task(post_save, sender=Item, refused=True)(handle)

        assert receivers_of(post_save, Item) == []
        assert list(registry) == []

    def test_of_an_unknown_backend(self, queue: RecordingBackend) -> None:
        """Once Django has started, at the decorator."""
        with pytest.raises(SettingsError, match="no backend 'mail'"):
            receiver_task(post_save, sender=Item, backend="mail")(handle)

        assert receivers_of(post_save, Item) == []
