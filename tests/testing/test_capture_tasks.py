"""What was enqueued, without a queue."""

from __future__ import annotations

import asyncio
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.db import connections, transaction
from django.db.models.signals import post_delete, post_save
from django.db.transaction import TransactionManagementError
from django.test import TestCase

from signals_plus import payload_type, receiver_on_commit, receiver_task
from signals_plus.backends.handler import backends
from signals_plus.testing import SignalsMixin, capture_tasks, isolated_receivers, mute_signals
from tests.testapp.models import CompositeItem, Item, ItemProxy, SpecialItem, Tag, UuidItem
from tests.testing.test_capture_signals import custom, failure
from tests.testing.test_run_on_commit import errors, run

pytestmark = pytest.mark.django_db(databases=["default", "other"])

ran: list[Any] = []


@payload_type("tests.Mark", encode=lambda mark: mark.text, decode=lambda text: Mark(text))  # noqa: PLW0108 - it is not defined yet
class Mark:
    """Equal to itself alone."""

    def __init__(self, text: str) -> None:
        self.text = text


def label(instance: Any, **kwargs: Any) -> None:
    ran.append(instance.name)


def save_tag(instance: Item, **kwargs: Any) -> None:
    ran.append("save_tag")
    Tag.objects.create(name="by a task")


def fail(**kwargs: Any) -> None:
    raise ValueError("failing")


def raise_key_error(**kwargs: Any) -> None:
    raise KeyError("robust")


@pytest.fixture(autouse=True)
def _no_backend(settings: Any) -> None:
    """No broker, no library: a backend that cannot even be imported."""
    ran.clear()
    settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": "no.such.Backend"}}


@pytest.fixture
def tasks() -> Any:
    """Connect the receivers while the capture is on: their backend does not exist."""
    with capture_tasks() as captured:
        receiver_task(post_save, sender=Tag, queue_name="labels")(label)
    return captured


@pytest.mark.usefixtures("tasks")
class TestCaptured:
    def test_is_what_was_committed(self) -> None:
        """Inside a test case, too; nothing ran."""
        with capture_tasks() as tasks:
            with transaction.atomic():
                tag = Tag.objects.create(name="a")
                assert len(tasks) == 0
            with transaction.atomic():
                Tag.objects.create(name="b")
                transaction.set_rollback(True)

        tasks.assert_enqueued(label, times=1)
        tasks.assert_enqueued(label, instance=tag, queue_name="labels", created=True)
        tasks.assert_enqueued(tasks[0].name, sender="testapp.Tag", run_after=None)
        tasks.assert_not_enqueued(label, sender=Item)
        assert ran == []
        assert tasks[0].receiver is label
        assert "no.such" not in tasks[0].payload

    def test_runs_as_in_a_worker(self) -> None:
        """From its payload: the row as it is by now; without the mutes of the test."""
        with capture_tasks() as tasks:
            Tag.objects.create(name="a")
            Tag.objects.update(name="b")

        with mute_signals(post_save):
            done = tasks.run()

        assert ran == ["b"]
        assert done == [tasks[0]]
        assert tasks[0].has_run
        assert tasks.run() == []

    def test_what_a_task_enqueues_joins(self) -> None:
        """Also when the block has ended."""
        with capture_tasks() as tasks:
            receiver_task(post_save, sender=Item)(save_tag)
            Item.objects.create()

        tasks.run()

        assert ran == ["save_tag", "by a task"]
        assert [task.receiver for task in tasks] == [save_tag, label]

    def test_runs_in_a_context_of_its_own(self) -> None:
        """What it sets there stays there."""
        language = ContextVar("language", default="en")

        def translate(**kwargs: Any) -> None:
            ran.append(language.get())
            language.set("de")

        with capture_tasks() as tasks:
            receiver_task(custom, name="translate")(translate)
            custom.send(None)
            custom.send(None)

        tasks.run()

        assert ran == ["en", "en"]
        assert language.get() == "en"

    def test_run_is_refused_in_its_own_words(self) -> None:
        """Where the block would be: in a transaction, whose end comes later, and in a coroutine."""
        with capture_tasks() as tasks:
            Tag.objects.create(name="a")

        async def main() -> None:
            tasks.run()

        with transaction.atomic(), pytest.raises(TransactionManagementError) as caught:
            tasks.run()
        assert str(caught.value) == (
            "run() is called inside atomic() on 'default': what its tasks do would wait for that "
            "commit. Call it once atomic() has ended."
        )
        with pytest.raises(TransactionManagementError) as caught:
            asyncio.run(main())
        assert str(caught.value) == (
            "run() is called in a coroutine, whose thread has no database connection. Write: "
            "await tasks.arun()."
        )
        assert ran == []
        tasks.run()
        assert ran == ["a"]

    def test_errors_of_tasks_are_raised_when_all_have_run(self) -> None:
        """One as it is, several in a group."""
        with capture_tasks() as tasks:
            receiver_task(post_save, sender=Item)(fail)
            Item.objects.create()
            Tag.objects.create(name="a")
        with pytest.raises(ValueError, match="failing"):
            tasks.run()
        assert ran == ["a"]

        with tasks:
            Item.objects.create()
            Item.objects.create()
        with pytest.raises(ExceptionGroup):
            tasks.run()

    def test_error_is_that_of_the_last_run(self) -> None:
        """A task that is run again may succeed."""
        error: Exception | None = KeyError("first")

        def fail_once(**kwargs: Any) -> None:
            if error is not None:
                raise error

        with capture_tasks() as tasks:
            receiver_task(post_save, sender=Item, name="shop.once")(fail_once)
            Item.objects.create()

        tasks[0].run()
        assert tasks[0].error is error
        error = None
        tasks[0].run()
        assert tasks[0].error is None

    def test_robust_errors_of_what_runs_later(self) -> None:
        """They are raised, inside an ``except`` too; where a task raises, its error has a note."""
        with capture_tasks() as tasks:
            receiver_task(post_save, sender=Item)(save_tag)
            receiver_task(custom)(fail)
            Item.objects.create()
        receiver_on_commit(post_save, sender=Tag)(raise_key_error)

        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            with pytest.raises(KeyError, match="robust"):
                tasks.run()

        with tasks:
            Item.objects.create()
            custom.send(None)
        with pytest.raises(ValueError, match="failing") as caught:
            tasks.run()
        assert "KeyError('robust')" in caught.value.__notes__[0]

    def test_immediately(self) -> None:
        """Each after its commit; what it raises is raised at the end."""
        with pytest.raises(ValueError, match="failing"), capture_tasks(immediate=True) as tasks:
            receiver_task(post_save, sender=Item)(fail)
            Item.objects.create()
            with transaction.atomic():
                Tag.objects.create(name="a")
                assert ran == []
            assert ran == ["a"]

        assert len(tasks) == 2

    def test_immediately_in_every_thread(self) -> None:
        """Each waits for its own task, not for those of others; they run at the same time."""
        both = threading.Barrier(2, timeout=10)

        def meet(**kwargs: Any) -> None:
            both.wait()
            ran.append(threading.get_ident())

        def request() -> None:
            custom.send(None)
            assert threading.get_ident() in ran
            connections.close_all()

        with capture_tasks(immediate=True, all_threads=True) as tasks:
            receiver_task(custom, name="meeting")(meet)
            with ThreadPoolExecutor(2) as pool:
                for done in [pool.submit(request), pool.submit(request)]:
                    done.result()

        assert [task.error for task in tasks] == [None, None]
        assert len({*ran}) == 2

    def test_a_payload_that_cannot_be_is_refused(self) -> None:
        """It would be in production."""
        from signals_plus.exceptions import PayloadError

        with capture_tasks():
            receiver_task(custom)(fail)
            with pytest.raises(PayloadError, match="word"):
                custom.send(None, word=object())

    def test_nothing_is_left(self) -> None:
        """The settings' backend is asked again."""
        with pytest.raises(ZeroDivisionError), capture_tasks():
            raise ZeroDivisionError

        assert backends.stand_in is None
        assert "send" not in vars(post_save)

    @pytest.mark.parametrize("all_threads", [True, False])
    def test_other_threads(self, all_threads: bool) -> None:
        """They have a queue of their own, unless that is asked for."""
        asked: list[Any] = []

        def ask() -> None:
            asked.append(backends.stand_in and backends.stand_in("default"))

        with capture_tasks(all_threads=all_threads):
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()

        assert (asked != [None]) == all_threads

    def test_several_at_a_time(self) -> None:
        """Each has what was enqueued while it lasted; it runs once."""
        with capture_tasks() as outer:
            Tag.objects.create(name="a")
            with capture_tasks() as inner:
                Tag.objects.create(name="b")

        assert (len(outer), len(inner)) == (2, 1)
        inner.run()
        outer.run()
        assert sorted(ran) == ["a", "b"]

    @pytest.mark.parametrize("all_threads", [True, False])
    def test_one_object_twice(self, all_threads: bool) -> None:
        """A task is one task."""
        tasks = capture_tasks(all_threads=all_threads)
        with tasks:
            with tasks:
                Tag.objects.create(name="a")
            Tag.objects.create(name="b")

        tasks.assert_enqueued(label, times=2)

    @pytest.mark.django_db(transaction=True)
    def test_with_real_commits(self) -> None:
        """The same."""
        with capture_tasks() as tasks, transaction.atomic():
            Tag.objects.create(name="a")

        tasks.assert_enqueued(label, times=1)

    def test_in_unittest(self) -> None:
        """By the mixin, and in coroutines."""

        class Tests(SignalsMixin, TestCase):
            def test_mixin(self) -> None:
                tasks = self.capture_tasks()
                tag = Tag.objects.create(name="a")
                tasks.assert_enqueued(label, instance=tag)
                tasks.run()

            async def test_coroutine(self) -> None:
                async with capture_tasks() as tasks:
                    tag = await Tag.objects.acreate(name="b")
                tasks.assert_enqueued(label, instance=tag)
                await tasks.arun()

        assert errors(run(Tests)) == []
        assert sorted(ran) == ["a", "b"]


@pytest.mark.usefixtures("tasks")
class TestMessages:
    def test_nearest(self) -> None:
        """With what differs."""
        with capture_tasks() as tasks:
            first, second = Tag.objects.create(name="a"), Tag(pk=10_000)

        text = failure(tasks.assert_enqueued, label, instance=second, queue_name="other")

        assert "Nearest: 1, where queue_name was 'labels', not 'other' and instance was" in text
        assert f"<testapp.Tag pk={first.pk}>, not <testapp.Tag pk=10000>" in text
        assert "post_save from testapp.Tag" in text

    def test_rolled_back(self) -> None:
        """It was scheduled, and that is said."""
        with capture_tasks() as tasks, transaction.atomic():
            Tag.objects.create(name="a")
            transaction.set_rollback(True)

        text = failure(tasks.assert_enqueued, label)

        assert "Hint: it was scheduled, and its transaction was rolled back." in text
        assert "scheduled for the commit on 'default' -> rolled back" in text

    def test_not_committed_yet(self) -> None:
        """Asked too early; others wait for the commit, too."""
        with capture_tasks() as tasks, transaction.atomic():
            transaction.on_commit(list)
            Tag.objects.create(name="a")
            text = failure(tasks.assert_enqueued, label)

        assert "has not committed yet" in text

    def test_muted(self) -> None:
        """Somebody did."""
        with capture_tasks() as tasks, mute_signals(post_save):
            Tag.objects.create(name="a")

        assert "a mute_signals() block muted it" in failure(tasks.assert_enqueued, label)

    @pytest.mark.parametrize(
        ("mute", "model", "is_muted"),
        [
            (lambda: mute_signals(receivers=[label]), Tag, True),
            (lambda: mute_signals(post_save, except_=[fail]), Tag, True),
            (lambda: mute_signals(receivers=[fail]), Item, False),
            (lambda: mute_signals(post_save, except_=[label]), Item, False),
            (lambda: mute_signals(post_save), Item, False),
        ],
    )
    def test_muted_or_not_heard(self, mute: Any, model: Any, is_muted: bool) -> None:
        """Others may have been muted, and it may not have heard the sender anyway."""
        with capture_tasks() as tasks, mute():
            model.objects.create()

        text = failure(tasks.assert_enqueued, label)
        assert ("a mute_signals() block muted it" in text) == is_muted

    def test_proxy(self) -> None:
        """The row is another sender's."""
        with capture_tasks() as tasks:
            receiver_task(post_save, sender=Item)(save_tag)
        with tasks:
            ItemProxy.objects.create()

        text = failure(tasks.assert_enqueued, save_tag)

        assert "the receiver is about testapp.Item, and the signal came from" in text
        assert "testapp.ItemProxy is a proxy of testapp.Item" in text

    def test_not_sent(self) -> None:
        """By a bulk operation."""
        with capture_tasks() as tasks:
            Tag.objects.bulk_create([Tag(name="a")])

        text = failure(tasks.assert_enqueued, label)
        assert "post_save, was not sent in the block. bulk_create()" in text

    def test_disconnected(self) -> None:
        """By somebody."""
        post_save.disconnect(label, sender=Tag)
        with capture_tasks() as tasks:
            Tag.objects.create(name="a")

        assert "somebody disconnected it" in failure(tasks.assert_enqueued, label)

    def test_no_task_receiver(self) -> None:
        """Another kind of receiver, or none."""
        with capture_tasks() as tasks:
            pass

        assert "fail is no task receiver" in failure(tasks.assert_enqueued, fail)

    def test_no_name(self) -> None:
        """Of a task, or of a model: neither is enqueued, whatever the code does."""
        with capture_tasks() as tasks:
            Tag.objects.create(name="a")

        text = failure(tasks.assert_not_enqueued, f"{__name__}.lable")
        assert (
            f"No task receiver has the name '{__name__}.lable'. Near it: '{__name__}.label'" in text
        )
        assert "'else' names no model" in failure(tasks.assert_not_enqueued, label, sender="else")

    def test_no_key(self) -> None:
        """A row that was deleted is nobody any more."""
        with capture_tasks() as tasks:
            tag = Tag.objects.create(name="a")
            tag.delete()

        text = failure(tasks.assert_enqueued, label, instance=tag)

        assert "<testapp.Tag pk=None>" in text
        assert "Hint: instance has no key: it was deleted, or never saved." in text

    @pytest.mark.parametrize("none", ["assert_not_enqueued", "assert_enqueued"])
    def test_what_never_is(self, none: str) -> None:
        """Not enqueued is no news of it: an argument's wrong name, a row as sender, one no more."""
        with capture_tasks() as tasks:
            tag = Tag.objects.create(name="a")
            key = tag.pk
            tag.delete()
        options = {"times": 0} if none == "assert_enqueued" else {}
        assertion = partial(getattr(tasks, none), label, **options)

        assert failure(assertion, pk=key) == "post_save has no argument 'pk'."
        assert "no argument 'queue'. Near it: 'queue_name'" in failure(assertion, queue="labels")
        assert "The sender <testapp.Tag pk=None> is a row" in failure(assertion, sender=tag)
        assert failure(assertion, instance=tag).startswith("instance has no key: it was deleted")
        assertion(instance=Tag(pk=10_000), queue_name="labels")
        assertion(created=False, update_fields=None, raw=True, using="other")

    def test_what_custom_signals_never_have(self) -> None:
        """Which is known when they were sent."""
        with capture_tasks() as tasks:
            receiver_task([custom, post_save], sender=None)(fail)
            Tag.objects.create(name="a")
        tasks.assert_not_enqueued(fail, wrod="a")
        with tasks:
            custom.send(None, word="a")

        tasks.assert_not_enqueued(fail, word="b")
        text = failure(tasks.assert_not_enqueued, fail, wrod="a")
        assert "post_save, tests.testing.test_capture_signals.custom have no argument" in text
        assert "'wrod'. Near it: 'word'" in text

    def test_too_many(self) -> None:
        """What there is."""
        with capture_tasks() as tasks:
            Tag.objects.create(name="a")
            Tag.objects.create(name="b")

        assert "was enqueued twice, not once" in failure(tasks.assert_enqueued, label, times=1)
        assert "twice it was" in failure(tasks.assert_not_enqueued, label)
        assert "2. tests.testing" in failure(tasks.assert_nothing_enqueued)


class TestArguments:
    def test_deleted_rows(self) -> None:
        """By their key, which the instance has lost."""
        with capture_tasks() as tasks:
            receiver_task(post_delete, sender=Tag)(label)
            tag = Tag.objects.create(name="a")
            key = tag.pk
            tag.delete()

        tasks.assert_enqueued(label, instance=Tag(pk=key))
        assert "not <testapp.Tag pk=None>" in failure(tasks.assert_enqueued, label, instance=tag)

    def test_values(self) -> None:
        """As they travel, those of custom signals too."""
        with capture_tasks() as tasks:
            receiver_task(custom, run_after=timedelta(seconds=1))(fail)
            custom.send(None, delay=timedelta(hours=1), words={"a", "b"})

        tasks.assert_enqueued(
            fail, delay=timedelta(hours=1), words={"b", "a"}, run_after=timedelta(seconds=1)
        )
        text = failure(tasks.assert_enqueued, fail, words={"a"}, other=object())
        assert "there was no argument 'other'" in text

    @pytest.mark.parametrize(
        ("model", "fields", "other_key"),
        [
            (UuidItem, {}, uuid4()),
            (CompositeItem, {"shop": "a", "number": 1}, ("b", 2)),
            (SpecialItem, {}, 10_000),
        ],
    )
    def test_keys_of_deleted_rows(self, model: Any, fields: Any, other_key: Any) -> None:
        """Of every kind of key, as rows have it; and those of rows that are there."""
        with capture_tasks() as tasks:
            row = model.objects.create(**fields)
            receiver_task(post_save, sender=model, name="saved")(save_tag)
            receiver_task(post_delete, sender=model, name="deleted")(label)
            row.save()
            same = model(pk=row.pk)
            row.delete()

        for receiver in (save_tag, label):
            tasks.assert_enqueued(receiver, instance=same)
            failure(tasks.assert_not_enqueued, receiver, instance=same)
            tasks.assert_not_enqueued(receiver, instance=model(pk=other_key))
            text = failure(tasks.assert_not_enqueued, receiver, instance=row)
            assert text.startswith("instance has no key: it was deleted")

    @pytest.mark.parametrize(
        ("sent", "same", "other"),
        [
            (Decimal("1.50"), Decimal("1.5"), Decimal("1.51")),
            (
                datetime(2027, 1, 1, tzinfo=UTC),
                datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
                datetime(2027, 1, 1, 1, tzinfo=UTC),
            ),
            ({1, 2}, frozenset({2, 1}), {1}),
            ({"a": [Decimal("1.0")]}, {"a": [Decimal(1)]}, {"a": [Decimal(2)]}),
            ((1, 2), mock.ANY, [1, 2]),
            ({"$model": [1]}, {"$model": [1]}, {"$model": [2]}),
        ],
        ids=str,
    )
    def test_equal_values(self, sent: Any, same: Any, other: Any) -> None:
        """As Python compares them, not as they are written."""
        with capture_tasks() as tasks:
            receiver_task(custom)(fail)
            custom.send(None, value=sent)

        tasks.assert_enqueued(fail, value=same)
        failure(tasks.assert_not_enqueued, fail, value=same)
        failure(tasks.assert_enqueued, fail, value=other)
        tasks.assert_not_enqueued(fail, value=other)

    def test_values_without_equality(self) -> None:
        """Those of a registered type are the same if they travel as the same."""
        with capture_tasks() as tasks:
            receiver_task(custom)(fail)
            custom.send(None, value=Mark("a"))

        tasks.assert_enqueued(fail, value=Mark("a"))
        tasks.assert_not_enqueued(fail, value=Mark("b"))

    def test_keys_as_the_field_has_them(self) -> None:
        """The text of a form is the number of the row."""
        with capture_tasks() as tasks:
            receiver_task(post_save, sender=Tag)(label)
            Tag(pk="77").save()

        for key in ("77", 77):
            tasks.assert_enqueued(label, instance=Tag(pk=key))
            failure(tasks.assert_not_enqueued, label, instance=Tag(pk=key))
        tasks.assert_enqueued(label, instance=mock.ANY)
        tasks.assert_not_enqueued(label, instance=Tag(pk=78))
        tasks.assert_not_enqueued(label, instance=Tag(pk="no number"))

    def test_rows_of_other_databases(self) -> None:
        """Of the same key, and told apart."""
        there = Tag.objects.using("other").create(pk=1, name="a")
        with capture_tasks() as tasks:
            receiver_task(post_save, sender=Tag)(label)
            Tag.objects.create(pk=1, name="a")

        tasks.assert_not_enqueued(label, instance=there)
        text = failure(tasks.assert_enqueued, label, instance=there)
        assert "instance was <testapp.Tag pk=1> on 'default', not <testapp.Tag pk=1> on" in text

    @pytest.mark.parametrize("assertion", ["assert_enqueued", "assert_not_enqueued", "of"])
    def test_a_key_where_a_row_belongs(self, assertion: str) -> None:
        """No row is one, so that none of it is enqueued says nothing."""
        with capture_tasks() as tasks:
            receiver_task(post_save, sender=Tag)(label)
            receiver_task(custom, name="custom")(fail)
            key = Tag.objects.create(name="a").pk
            custom.send(None, instance=key)

        assert failure(getattr(tasks, assertion), label, instance=key) == (
            f"instance={key} is no row, and post_save is about rows. Write instance=Tag(pk=...)."
        )
        tasks.assert_enqueued(fail, instance=key)
        tasks.assert_not_enqueued(fail, instance=key + 1)

    def test_rows_inside_of_values(self) -> None:
        """By their keys too, and their databases."""
        with capture_tasks() as tasks:
            tag = Tag.objects.create(name="a")
            receiver_task(custom)(fail)
            custom.send(None, rows=[tag], by_name={"a": tag}, all_of_them={tag})

        same = Tag(pk=tag.pk)
        tasks.assert_enqueued(fail, rows=[same], by_name={"a": same}, all_of_them={same})
        tasks.assert_not_enqueued(fail, rows=[Tag(pk=10_000)])
        there = Tag.objects.using("other").create(pk=tag.pk, name="a")
        tasks.assert_not_enqueued(fail, rows=[there])
        assert f"rows=[<testapp.Tag pk={tag.pk}>]" in repr(tasks[0])

    def test_several_senders(self) -> None:
        """Any of them."""
        with capture_tasks() as tasks:
            receiver_task(post_save, sender=[Tag, Item])(label)
            Tag.objects.create(name="a")

        tasks.assert_enqueued(label, sender=[Item, "testapp.Tag"], times=1)
        tasks.assert_not_enqueued(label, sender=[Item, ItemProxy])
        text = failure(tasks.assert_enqueued, label, sender=[Item, ItemProxy])
        assert "with sender=testapp.Item or testapp.ItemProxy was not enqueued" in text
        assert "the sender was testapp.Tag, not testapp.Item or testapp.ItemProxy" in text

    def test_receivers_that_are_gone(self) -> None:
        """What was enqueued for them has its senders, also those that only they know."""

        class Shop: ...

        with capture_tasks() as tasks, isolated_receivers():
            receiver_task(custom, sender=[Shop, "kiosk"], name="gone")(fail)
            custom.send(Shop, word="a")
            custom.send("kiosk", word="b")

        tasks.assert_enqueued(fail, sender=Shop, word="a", times=1)
        tasks.assert_enqueued(fail, sender="kiosk", word="b", times=1)
        failure(tasks.assert_not_enqueued, fail, word="a")
        assert "word='b'" in repr(tasks[1])

    def test_batches(self) -> None:
        """One of the events is enough."""

        def batch(events: list[Any], **kwargs: Any) -> None:
            ran.extend(event.instance.name for event in events)

        with capture_tasks() as tasks:
            receiver_task(post_save, sender=Tag, batch=True, name="batch")(batch)
            with transaction.atomic():
                tags = [Tag.objects.create(name=name) for name in "abcd"]

        for tag in tags:
            tasks.assert_enqueued(batch, instance=tag, times=1)
        assert "and 1 more events" in repr(tasks[0])
        tasks.run()
        assert ran == ["a", "b", "c", "d"]


def test_result_is_a_test_of_unittest() -> None:
    """The helper that runs classes finds failures."""

    class Tests(unittest.TestCase):
        def test_it(self) -> None:
            raise AssertionError

    assert len(errors(run(Tests))) == 1
