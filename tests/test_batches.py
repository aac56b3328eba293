"""One call, or one message, for all events of a transaction."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext

from signals_plus import Event, mute_signals, receiver, receiver_on_commit, receiver_task
from signals_plus.exceptions import InvalidReceiverError, PayloadError, RecursionLimitError
from signals_plus.payloads import chains
from signals_plus.registry import registry
from signals_plus.testing import capture_tasks, run_on_commit
from tests.queues import RecordingBackend
from tests.testapp.models import CompositeItem, Item, SpecialItem, Tag, UuidItem

batches: list[tuple[Any, list[Event]]] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    batches.clear()


def handle(sender: Any, events: list[Event], **kwargs: Any) -> None:
    batches.append((sender, events))


def names() -> list[list[str]]:
    return [[event.instance.name for event in events] for _, events in batches]


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or inside of one a savepoint, that is taken back at its end."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def save(*given: str, using: str = "default") -> list[Item]:
    items = [Item(name=name) for name in given]
    for item in items:
        item.save(using=using)
    return items


class TestBatchOnCommit:
    @pytest.fixture(autouse=True)
    def _connect(self, database: str) -> None:
        receiver_on_commit(post_save, sender=[Item, Tag], batch=True)(handle)

    def test_is_one_call_for_all_events_of_a_transaction(self, database: str) -> None:
        """In the order in which they were sent, each as it was then."""
        with run_on_commit(), transaction.atomic():
            items = save("a", "b", "c")
            items[0].name = "changed later"

        assert names() == [["a", "b", "c"]]
        assert [event.created for event in batches[0][1]] == [True, True, True]

    def test_is_a_call_for_each_event_outside_of_transactions(self) -> None:
        """In autocommit each event is a transaction of its own; a test case's captures them."""
        if not connections["default"].in_atomic_block:
            save("a", "b")

            assert names() == [["a"], ["b"]]

    def test_is_a_call_for_each_sender(self, database: str) -> None:
        """The function has one argument for the sender."""
        with run_on_commit(), transaction.atomic():
            save("a")
            Tag.objects.create(name="tag")
            save("b")

        assert [sender for sender, _ in batches] == [Item, Tag]
        assert names() == [["a", "b"], ["tag"]]

    def test_is_a_call_for_each_database(self, database: str) -> None:
        """They commit apart, and one of them may roll back."""
        with run_on_commit(), transaction.atomic(), transaction.atomic(using="other"):
            save("a")
            save("b", using="other")
            save("c")

        assert sorted(names()) == [["a", "c"], ["b"]]

    def test_is_a_call_for_each_of_several_transactions(self, database: str) -> None:
        """What the first of them delivered is not delivered again."""
        for name in "ab":
            with run_on_commit(), transaction.atomic():
                save(name)

        assert names() == [["a"], ["b"]]

    def test_leaves_out_what_a_savepoint_took_back(self, database: str) -> None:
        """And goes on right after it."""
        with run_on_commit(), transaction.atomic():
            save("a")
            with rolled_back():
                save("b")
            save("c")

        assert names() == [["a", "c"]]

    def test_leaves_out_a_transaction_that_rolled_back(self, database: str) -> None:
        """On the same connection, right before one that commits."""
        with run_on_commit():
            with rolled_back():
                save("a")
            with transaction.atomic():
                save("b")

        assert names() == [["b"]]

    def test_spans_the_savepoints_of_a_loop(self, database: str) -> None:
        """update_or_create opens one each time."""
        with run_on_commit(), transaction.atomic():
            for name in "abc":
                Item.objects.update_or_create(name=name)

        assert names() == [["a", "b", "c"]]

    def test_spans_other_callbacks(self, database: str) -> None:
        """It is delivered where its first event stands."""
        order: list[str] = []
        with run_on_commit(), transaction.atomic():
            save("a")
            transaction.on_commit(lambda: order.append(f"after {len(batches)} batch"))
            save("b")

        assert names() == [["a", "b"]]
        assert order == ["after 1 batch"]

    def test_spans_the_events_of_other_receivers(self, database: str) -> None:
        """Two that batch, and one that does not, over the same rows."""
        single: list[str] = []
        other: list[int] = []
        receiver_on_commit(post_save, sender=Item)(
            lambda instance, **_: single.append(instance.name)
        )
        receiver_on_commit(post_save, sender=Item, batch=True)(
            lambda events, **_: other.append(len(events))
        )

        with run_on_commit(), transaction.atomic():
            save("a", "b", "c")

        assert (names(), single, other) == ([["a", "b", "c"]], ["a", "b", "c"], [3])

    def test_failure_is_logged_and_hurts_nobody(
        self, database: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The next receivers run; the text says how many events it was about."""

        @receiver_on_commit(post_save, sender=Item, batch=True, priority=1)
        def fails(events: list[Event], **kwargs: Any) -> None:
            raise ZeroDivisionError

        with run_on_commit(robust=True), transaction.atomic():
            (first, _) = save("a", "b")

        assert names() == [["a", "b"]]
        assert (
            f"failed after the commit on 'default' for 2 events, the first of testapp.Item "
            f"pk={first.pk} (default)"
        ) in caplog.text

    def test_runs_an_async_function(self, database: str) -> None:
        """As everywhere."""

        @receiver_on_commit(post_save, sender=Item, batch=True)
        async def later(sender: Any, events: list[Event], **kwargs: Any) -> None:
            handle("async", events)

        with run_on_commit(), transaction.atomic():
            save("a", "b")

        assert ("async", 2) in [(sender, len(events)) for sender, events in batches]


class TestWhatJoinsABatch:
    """Conditions are asked when the event is sent, one by one."""

    def test_is_asked_for_each_event(self, database: str) -> None:
        """when=, created= and a mute."""
        receiver_on_commit(
            post_save, sender=Item, batch=True, created=True,
            when=lambda instance, **_: instance.name != "b",
        )(handle)  # fmt: skip

        with run_on_commit(), transaction.atomic():
            first, *_ = save("a", "b", "c")
            first.save()
            with mute_signals(post_save):
                save("d")

        assert names() == [["a", "c"]]

    def test_is_not_what_the_batch_itself_does_to_its_rows(self, database: str) -> None:
        """Each of its rows is guarded; a row that is not in it is another matter."""

        @receiver_on_commit(post_save, sender=Item, batch=True)
        def saves(sender: Any, events: list[Event], **kwargs: Any) -> None:
            handle(sender, events)
            for event in events:
                event.instance.save()
            if len(events) > 1:
                save("new")

        with run_on_commit(), transaction.atomic():
            save("a", "b")

        assert names() == [["a", "b"], ["new"]]

    def test_is_not_what_came_around_through_another_receiver(self, database: str) -> None:
        """A batch saves tags, whose receiver saves the rows of the batch."""

        @receiver_on_commit(post_save, sender=Item, batch=True)
        def tags(sender: Any, events: list[Event], **kwargs: Any) -> None:
            handle(sender, events)
            with transaction.atomic():
                for event in events:
                    Tag.objects.create(name=event.instance.pk)

        @receiver_on_commit(post_save, sender=Tag, batch=True)
        def items(sender: Any, events: list[Event], **kwargs: Any) -> None:
            for event in events:
                Item.objects.get(pk=event.instance.name).save()

        with run_on_commit(), transaction.atomic():
            save("a", "b")

        assert names() == [["a", "b"]]

    def test_raises_where_the_receiver_says_so(self, database: str) -> None:
        """At the save that is one too many."""
        raised: list[Exception] = []

        @receiver_on_commit(post_save, sender=Item, batch=True, recursion="raise")
        def saves(events: list[Event], **kwargs: Any) -> None:
            try:
                events[1].instance.save()
            except RecursionLimitError as error:
                raised.append(error)

        with run_on_commit(), transaction.atomic():
            save("a", "b")

        assert "was caused again by its own work on testapp.Item" in str(raised[0])


class TestRefusal:
    @pytest.mark.parametrize("decorator", [receiver_on_commit, receiver_task])
    def test_of_a_function_that_wants_one_event(self, decorator: Any) -> None:
        """The text says what it is called with, and where to read the argument."""

        def receiver(sender: Any, instance: Any, **kwargs: Any) -> None: ...

        with pytest.raises(InvalidReceiverError) as raised:
            decorator(post_save, batch=True)(receiver)

        assert "requires 'instance', and has batch=True" in str(raised.value)
        assert "event.instance" in str(raised.value)

    def test_of_a_function_that_wants_a_batch_without_asking_for_it(self) -> None:
        """The text says what to add."""
        with pytest.raises(InvalidReceiverError, match="add batch=True"):
            receiver_on_commit(post_save)(handle)

    @pytest.mark.parametrize("decorator", [receiver_on_commit, receiver_task])
    @pytest.mark.parametrize("option", ["batch", "coalesce"])
    def test_of_what_is_neither_true_nor_false(self, decorator: Any, option: str) -> None:
        """batch=100 would be a size, which has an option of its own."""
        with pytest.raises(InvalidReceiverError, match=f"has {option}=100"):
            decorator(post_save, **{option: 100})(lambda **kwargs: None)

    @pytest.mark.parametrize("size", [0, -1, None, "10", 1.5, True])
    def test_of_a_size_that_is_none(self, size: Any) -> None:
        """At least one event a message."""
        with pytest.raises(InvalidReceiverError, match="has batch_size="):
            receiver_task(post_save, batch=True, batch_size=size)(handle)

    def test_of_a_size_without_a_batch(self) -> None:
        """It would do nothing, silently."""
        with pytest.raises(InvalidReceiverError, match=r"has batch_size=10 without batch=True"):
            receiver_task(post_save, batch_size=10, name="task")(lambda **kwargs: None)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
class TestBatchTask:
    def test_is_one_message_for_each_batch_size_events(self, tasks: capture_tasks) -> None:
        """In the order in which they were sent; the last message has what is left."""
        receiver_task(post_save, sender=Item, batch=True, batch_size=2)(handle)

        with transaction.atomic():
            save("a", "b", "c", "d", "e")
        tasks.assert_enqueued(handle, times=3)
        tasks.run()

        assert names() == [["a", "b"], ["c", "d"], ["e"]]
        event = batches[0][1][0]
        assert (event.signal, event.sender, event.created, event.using) == (
            post_save, Item, True, "default",
        )  # fmt: skip

    def test_is_sent_after_the_commit_and_not_on_rollback(self, tasks: capture_tasks) -> None:
        """As every task."""
        receiver_task(post_save, sender=Item, batch=True)(handle)

        with rolled_back():
            save("a")
        with transaction.atomic():
            save("b")
            tasks.assert_nothing_enqueued()
        tasks.run()

        assert names() == [["b"]]

    @pytest.mark.parametrize("value", [object(), "a" * 1_000_000], ids=["object", "megabyte"])
    def test_of_an_argument_that_cannot_travel_rolls_back(
        self, value: Any, tasks: capture_tasks
    ) -> None:
        """It is found when the signal is sent, though the message is written after the commit."""
        sent = Signal()
        receiver_task(sent, batch=True)(handle)

        @transaction.atomic
        def pay() -> None:
            save("a")
            sent.send(sender=None, value=value)

        with pytest.raises(PayloadError, match=r"handle': (value is <object|the event takes 1000)"):
            pay()

        assert Item.objects.count() == 0
        tasks.assert_nothing_enqueued()

    def test_keeps_no_instance_until_the_commit(self, queue: RecordingBackend) -> None:
        """A hundred thousand rows of a transaction are not all in memory."""
        receiver_task(post_save, sender=Item, batch=True, coalesce=True)(handle)

        with transaction.atomic():
            instance = weakref.ref(save("a")[0])
            gc.collect()
            assert instance() is None
        ((task, payload),) = queue.enqueued
        task.run(payload)

        assert names() == [["a"]]

    def test_loads_the_rows_of_a_message_with_one_query_for_each_model_and_database(
        self, tasks: capture_tasks
    ) -> None:
        """However many rows it has."""
        receiver_task(post_save, sender=[Item, Tag], using="default", batch=True)(handle)
        with transaction.atomic():
            save(*"abc")
            save(*"de", using="other")
            Tag.objects.create(name="tag")

        with CaptureQueriesContext(connections["default"]) as default:  # noqa: SIM117
            with CaptureQueriesContext(connections["other"]) as other:
                tasks.run()

        assert (len(default), len(other)) == (2, 1)
        assert names() == [[*"abcde"], ["tag"]]
        assert [event.instance._state.db for event in batches[0][1]][-1] == "other"

    @pytest.mark.parametrize(
        ("model", "fields"),
        [
            (UuidItem, lambda n: {"name": str(n)}),
            (SpecialItem, lambda n: {"name": str(n)}),
            (CompositeItem, lambda n: {"shop": "a", "number": n}),
        ],
    )
    def test_loads_rows_whatever_their_keys(
        self, tasks: capture_tasks, model: Any, fields: Callable[[int], dict[str, Any]]
    ) -> None:
        """UUIDs, composite keys, children."""
        receiver_task(post_save, sender=model, batch=True)(handle)
        with transaction.atomic():
            rows = [model.objects.create(**fields(n)) for n in range(3)]

        tasks.run()

        assert [event.instance for event in batches[0][1]] == rows

    @pytest.mark.parametrize("model", [Item, CompositeItem])
    def test_loads_thousands_of_rows(
        self, tasks: capture_tasks, model: type[Item], settings: Any
    ) -> None:
        """More than a statement of SQLite takes parameters or alternatives."""
        settings.SIGNALS_PLUS_MAX_PAYLOAD_BYTES = 2**20
        receiver_task(post_save, sender=model, batch=True, batch_size=3000)(handle)
        with transaction.atomic():
            for n in range(2500):
                row = Item(name="a") if model is Item else CompositeItem(shop="a", number=n)
                row.save(force_insert=True)

        tasks.run()

        assert [len(events) for _, events in batches] == [2500]

    def test_is_a_call_for_each_sender(self, tasks: capture_tasks) -> None:
        """They share a message, and each call has the events of one of them, in their order."""
        receiver_task(post_save, sender=[Item, Tag], batch=True)(handle)
        with transaction.atomic():
            save("a")
            Tag.objects.create(name="b")
            save("c")
        tasks.assert_enqueued(handle, times=1)

        tasks.run()

        assert [sender for sender, _ in batches] == [Item, Tag]
        assert names() == [["a", "c"], ["b"]]

    def test_is_a_message_for_each_database_and_each_commit(self, tasks: capture_tasks) -> None:
        """What was committed apart is sent apart."""
        receiver_task(post_save, sender=Item, batch=True)(handle)
        with transaction.atomic(), transaction.atomic(using="other"):
            save("a")
            save("b", using="other")
            save("c")
        with transaction.atomic():
            save("d")

        tasks.run()

        assert names() == [["b"], ["a", "c"], ["d"]]
        assert [{event.using for event in events} for _, events in batches] == [
            {"other"}, {"default"}, {"default"},
        ]  # fmt: skip

    def test_has_only_events_that_the_receiver_is_for(self, tasks: capture_tasks) -> None:
        """when=, created= and a mute are asked for each event, when it is sent."""
        receiver_task(
            post_save, sender=Item, batch=True, created=True,
            when=lambda instance, **_: instance.name != "b",
        )(handle)  # fmt: skip

        with transaction.atomic():
            first, *_ = save("a", "b", "c")
            first.save()
            with mute_signals(post_save):
                save("d")
        tasks.run()

        assert names() == [["a", "c"]]

    def test_leaves_out_what_a_savepoint_took_back(self, tasks: capture_tasks) -> None:
        """The others stay in one message, whatever savepoints they were sent in."""
        receiver_task(post_save, sender=Item, batch=True)(handle)

        with transaction.atomic():
            save("a")
            with rolled_back():
                save("b")
            for name in "cd":
                Item.objects.update_or_create(name=name)
        tasks.assert_enqueued(handle, times=1)
        tasks.run()

        assert names() == [["a", "c", "d"]]

    def test_starts_a_new_message_where_one_would_grow_too_large(
        self, tasks: capture_tasks, settings: Any
    ) -> None:
        """By SIGNALS_PLUS_MAX_PAYLOAD_BYTES."""
        settings.SIGNALS_PLUS_MAX_PAYLOAD_BYTES = 1024
        sent = Signal()
        receiver_task(sent, batch=True)(handle)

        with transaction.atomic():
            for n in range(4):
                sent.send(sender=None, text=f"{n}" * 450)
        tasks.assert_enqueued(handle, times=2)
        tasks.run()

        assert [[event.kwargs["text"][0] for event in events] for _, events in batches] == [
            ["0", "1"], ["2", "3"],
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("on_missing", "expected"), [("skip", [["a", "c"]]), ("none", [["a", None, "c"]])]
    )
    def test_goes_on_without_rows_that_are_gone(
        self, tasks: capture_tasks, on_missing: str, expected: list[Any]
    ) -> None:
        """The others are handled."""
        receiver_task(post_save, sender=Item, batch=True, on_missing=on_missing)(handle)
        with transaction.atomic():
            _, gone, _ = save("a", "b", "c")
        gone.delete()

        tasks.run()

        assert [
            [event.instance and event.instance.name for event in events] for _, events in batches
        ] == expected

    def test_fails_for_a_row_that_is_gone_where_asked_to(self, tasks: capture_tasks) -> None:
        """The queue may try again."""
        receiver_task(post_save, sender=Item, batch=True, on_missing="raise")(handle)
        with transaction.atomic():
            _, gone = save("a", "b")
        gone.delete()

        with pytest.raises(Item.DoesNotExist):
            tasks.run()

        assert batches == []

    def test_is_not_called_for_no_event(self, tasks: capture_tasks) -> None:
        """All rows of a message are gone."""
        receiver_task(post_save, sender=Item, batch=True)(handle)
        with transaction.atomic():
            save("a")
        Item.objects.all().delete()

        tasks.run()

        assert batches == []

    def test_carries_deletions(self, tasks: capture_tasks) -> None:
        """Each row as it was."""
        pks = {item.name: item.pk for item in save("a", "b")}
        receiver_task(post_delete, sender=Item, batch=True)(handle)
        with transaction.atomic():
            Item.objects.all().delete()

        tasks.run()

        assert {event.instance.name: event.instance.pk for event in batches[0][1]} == pks

    def test_does_not_send_itself_what_its_rows_cause(self, tasks: capture_tasks) -> None:
        """The guard knows every row of the message, in the worker too."""

        @receiver_task(post_save, sender=Item, batch=True, name="saves")
        def saves(sender: Any, events: list[Event], **kwargs: Any) -> None:
            handle(sender, events)
            with transaction.atomic():
                for event in events:
                    event.instance.save()

        with transaction.atomic():
            save("a", "b")
        tasks.run()

        assert names() == [["a", "b"]]

    def test_does_not_come_around_through_another_task(self, tasks: capture_tasks) -> None:
        """The chain travels: a batch of items saves tags, whose tasks save the items."""

        @receiver_task(post_save, sender=Item, batch=True, name="items")
        def items(sender: Any, events: list[Event], **kwargs: Any) -> None:
            handle(sender, events)
            with transaction.atomic():
                for event in events:
                    Tag.objects.create(name=event.instance.pk)

        @receiver_task(post_save, sender=Tag, name="tags")
        def tags(instance: Tag, **kwargs: Any) -> None:
            Item.objects.get(pk=instance.name).save()

        with transaction.atomic():
            save("a", "b", "c")
        tasks.run()

        assert names() == [["a", "b", "c"]]

    def test_has_the_causes_of_all_its_events(self, tasks: capture_tasks) -> None:
        """Each of its rows was saved for another tag, and none of the tags is handled again."""
        handled: list[str] = []

        @receiver(post_save, sender=Tag)
        def tags(instance: Tag, **kwargs: Any) -> None:
            handled.append(instance.name)
            save(instance.name)

        @receiver_task(post_save, sender=Item, batch=True, name="items")
        def items(sender: Any, events: list[Event], **kwargs: Any) -> None:
            handle(sender, events)
            for tag in Tag.objects.all():
                tag.save()

        with transaction.atomic():
            for name in "abc":
                Tag.objects.create(name=name)
        tasks.run()

        assert names() == [["a", "b", "c"]]
        assert handled == ["a", "b", "c"]

    def test_carries_a_bounded_part_of_its_causes(
        self, tasks: capture_tasks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So many bytes of the rows of a batch go along with what it sends, and each once."""
        receiver_task(post_save, sender=Tag, name="tags")(lambda **kwargs: None)

        @receiver_task(post_save, sender=Item, batch=True, batch_size=3000, name="items")
        def items(sender: Any, events: list[Event], **kwargs: Any) -> None:
            Tag.objects.create(name="tag")

        monkeypatch.setattr(chains, "MAX_BYTES", 2000)
        with transaction.atomic():
            save(*"a" * 1500)
        _, caused = tasks.run()

        assert caused.name == "tags"
        ((_, _, ((*about, keys),)),) = json.loads(caused.payload)["lineage"]
        assert about == ["items", "testapp.Item pk=", " (default)"]
        assert 100 < len(keys) < 400
        assert len(caused.payload) < 2500

    def test_does_not_name_rows_that_were_not_saved(self, tasks: capture_tasks) -> None:
        """They are known by the id of an object, which is another's once it is gone."""

        @receiver(pre_save, sender=Tag)
        def before(instance: Tag, **kwargs: Any) -> None:
            save(instance.name)

        receiver_task(post_save, sender=Item, batch=True, name="items")(handle)
        with transaction.atomic():
            for name in "ab":
                Tag.objects.create(name=name)

        (task,) = tasks

        assert "unsaved" not in task.payload

    def test_tells_the_database_of_a_row_that_is_gone(self, tasks: capture_tasks) -> None:
        """A custom signal need not say it, and the row cannot any more."""
        sent = Signal()
        using: list[str] = []
        receiver_task(sent, batch=True, on_missing="none", name="task")(
            lambda events, **kwargs: using.append(kwargs["using"])
        )
        (item,) = save("a", using="other")
        with transaction.atomic(using="other"):
            sent.send(sender=Item, instance=item)
        Item.objects.using("other").all().delete()

        tasks.run()

        assert using == ["other"]

    def test_message_of_a_receiver_that_did_not_batch_then_still_runs(
        self, tasks: capture_tasks
    ) -> None:
        """And the other way round: what is in flight when the option is changed is not lost."""
        receiver_task(post_save, sender=Item, name="task")(lambda **kwargs: None)
        save("a")
        registry._receivers.clear()
        post_save.receivers.clear()
        receiver_task(post_save, sender=Item, batch=True, name="task")(handle)

        tasks.run()

        assert names() == [["a"]]


@pytest.mark.django_db(transaction=True)
class TestCoalesceTask:
    def test_sends_one_message_for_each_row(self, tasks: capture_tasks) -> None:
        """With the net effect in its arguments."""
        received: list[Any] = []
        (old,) = save("old")
        receiver_task(post_save, sender=Item, coalesce=True, name="task")(
            lambda instance, created, update_fields, **kwargs: received.append(
                (instance.name, created, update_fields)
            )
        )
        with transaction.atomic():
            (new,) = save("new")
            new.save(update_fields=["name"])
            old.save(update_fields=["name"])
            old.save(update_fields=["score"])
        tasks.assert_enqueued("task", instance=new, created=True, times=1)
        tasks.assert_enqueued("task", instance=old, created=False, times=1)
        assert len(tasks) == 2
        tasks.run()

        assert received == [("new", True, None), ("old", False, frozenset({"name", "score"}))]

    def test_sends_nothing_for_what_is_not_there_in_the_end(self, tasks: capture_tasks) -> None:
        """Created and deleted again."""
        receiver_task([post_save, post_delete], sender=Item, coalesce=True, batch=True)(handle)

        with transaction.atomic():
            (item,) = save("a")
            item.delete()

        tasks.assert_nothing_enqueued()

    def test_remembers_nothing_of_what_was_rolled_back(self, tasks: capture_tasks) -> None:
        """No lock outlives the transaction: the same row is sent for the next one."""
        (item,) = save("a")
        receiver_task(post_save, sender=Item, coalesce=True, batch=True)(handle)

        with rolled_back():
            item.save()
        item.name = "b"
        with transaction.atomic():
            item.save()
            item.save()
        tasks.run()

        assert names() == [["b"]]


@pytest.mark.django_db(transaction=True)
class TestWhatABatchCauses:
    def test_is_as_small_for_many_rows_as_for_few(self, tasks: capture_tasks) -> None:
        """Each message names the rows of the batch by their keys alone."""
        receiver_task(post_save, sender=Tag, name="tags")(lambda **kwargs: None)

        @receiver_on_commit(post_save, sender=Item, batch=True)
        def items(events: list[Event], **kwargs: Any) -> None:
            with transaction.atomic():
                for event in events:
                    Tag.objects.create(name=event.instance.name)

        with transaction.atomic():
            save(*"a" * 300)

        tasks.assert_enqueued("tags", times=300)
        assert max(len(task.payload) for task in tasks) < 300 * 12

    def test_is_not_called_again_for_any_row_of_a_large_batch(self, tasks: capture_tasks) -> None:
        """The guard follows 1,100 rows through tasks of their own."""
        receiver_task(post_save, sender=Tag, name="tags")(
            lambda instance, **kwargs: Item.objects.get(pk=instance.name).save()
        )
        sizes: list[int] = []

        @receiver_on_commit(post_save, sender=Item, batch=True)
        def items(events: list[Event], **kwargs: Any) -> None:
            sizes.append(len(events))
            with transaction.atomic():
                for event in events:
                    Tag.objects.create(name=event.instance.pk)

        with transaction.atomic():
            save(*"a" * 1100)
        tasks.run()

        assert sizes == [1100]


@pytest.mark.django_db(transaction=True)
class TestWhatTasksShare:
    def test_events_of_one_commit_are_handed_over_together_in_order(
        self, queue: RecordingBackend
    ) -> None:
        """Of all receivers of a backend, as long as nothing else comes in between."""
        receiver_task(post_save, sender=Item, name="first")(lambda **kwargs: None)
        receiver_task(post_save, sender=Item, name="second")(lambda **kwargs: None)

        with transaction.atomic():
            save("a", "b")

        assert [[task.name for task, _ in messages] for messages in queue.calls] == [
            ["first", "second", "first", "second"]
        ]
