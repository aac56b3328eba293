"""The chain of cause and effect: what a receiver's own work does not send it again."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import Signal
from django.test import override_settings

from signals_plus import lineage, receiver, receiver_on_commit
from signals_plus.exceptions import RecursionLimitError, SettingsError
from signals_plus.links import Link, Row
from tests.testapp.models import CompositeItem, Item, ItemProxy, SpecialItem, Tag, UuidItem

Decorator = Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]

BOTH = pytest.mark.parametrize(
    "decorator", [receiver, receiver_on_commit], ids=["at once", "on commit"]
)


def in_autocommit(work: Callable[[], Any]) -> Any:
    return work()


def in_atomic(work: Callable[[], Any]) -> Any:
    with transaction.atomic():
        return work()


def in_two_atomics(work: Callable[[], Any]) -> Any:
    with transaction.atomic(), transaction.atomic():
        return work()


@pytest.fixture(params=[in_autocommit, in_atomic, in_two_atomics])
def run(request: pytest.FixtureRequest, transactional_db: None) -> Any:
    """Run work outside and inside of transactions that commit."""
    return request.param


class TestRow:
    """``Row.of``: when two instances are the same row."""

    def same(self, one: Any, other: Any) -> bool:
        row = Row.of(one, None)
        assert row is not None
        return Link("receiver", row).is_for("receiver", Row.of(other, None), other)  # type: ignore[arg-type]

    def test_two_instances_of_one_row_are_the_same(self) -> None:
        """A row is known by model and primary key, not by the object."""
        assert self.same(Item(pk=1), Item(pk=1))

    def test_other_rows_are_not(self) -> None:
        """Another key, another model and another database are other rows."""
        on_other = Item(pk=1)
        on_other._state.db = "other"

        assert not self.same(Item(pk=1), Item(pk=2))
        assert not self.same(Item(pk=1), Tag(pk=1))
        assert not self.same(Item(pk=1), on_other)

    def test_a_proxy_is_the_row_of_its_model(self) -> None:
        """A proxy model has no rows of its own."""
        assert self.same(Item(pk=1), ItemProxy(pk=1))

    def test_a_child_by_inheritance_has_a_row_of_its_own(self) -> None:
        """Multi-table inheritance makes two rows: the child's and the parent's."""
        assert self.same(SpecialItem(pk=1), SpecialItem(pk=1))
        assert not self.same(SpecialItem(pk=1), Item(pk=1))

    def test_an_unsaved_row_is_known_by_its_object(self) -> None:
        """Two objects without a key are two rows; one object stays the same when it is saved."""
        unsaved = Item()
        row = Row.of(unsaved, None)

        assert row is not None
        assert self.same(unsaved, unsaved)
        assert not self.same(unsaved, Item())
        unsaved.pk = 1
        saved = Row.of(unsaved, None)
        assert saved is not None
        assert Link("receiver", row).is_for("receiver", saved, unsaved)

    def test_keys_of_every_kind(self) -> None:
        """UUIDs, composite keys and the key 0 name rows."""
        key = uuid4()

        assert self.same(UuidItem(pk=key), UuidItem(pk=key))
        assert not self.same(UuidItem(), UuidItem())
        assert self.same(CompositeItem(shop="a", number=1), CompositeItem(shop="a", number=1))
        assert not self.same(CompositeItem(shop="a", number=1), CompositeItem(shop="a", number=2))
        assert self.same(Item(pk=0), Item(pk=0))

    def test_what_is_no_instance_has_no_row(self) -> None:
        """A signal may send anything as ``instance``."""
        assert Row.of(None, None) is None
        assert Row.of("text", None) is None
        assert Row.of(Item, None) is None


class TestSkip:
    """``recursion="skip"``, the default."""

    @BOTH
    def test_a_receiver_that_saves_its_row_runs_once(self, decorator: Decorator, run: Any) -> None:
        """Its own save does not call it again, and is done."""
        calls: list[int] = []

        @decorator(post_save, sender=Item)
        def score(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.score)
            instance.score += 1
            instance.save()

        run(lambda: Item.objects.create(score=1))

        assert calls == [1]
        assert Item.objects.get().score == 2

    @BOTH
    def test_it_runs_again_for_the_next_save_by_others(
        self, decorator: Decorator, run: Any
    ) -> None:
        """The guard holds for the receiver's own work and no longer."""
        calls: list[int] = []

        @decorator(post_save, sender=Item)
        def score(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.score)
            Item.objects.get(pk=instance.pk).save()

        item = run(lambda: Item.objects.create(score=1))
        item.score = 2
        run(item.save)

        assert calls == [1, 2]
        assert lineage.current() == ()

    @BOTH
    def test_two_receivers_that_cause_each_other_run_once_each(
        self, decorator: Decorator, run: Any
    ) -> None:
        """A's work calls B, whose work does not call A again for its row."""
        calls: list[str] = []

        @decorator(post_save, sender=Item)
        def a(instance: Item, **kwargs: Any) -> None:
            calls.append("A")
            Tag.objects.get().save()

        @decorator(post_save, sender=Tag, created=False)
        def b(**kwargs: Any) -> None:
            calls.append("B")
            Item.objects.get().save()

        Tag.objects.create()
        run(Item.objects.create)

        assert calls == ["A", "B"]

    @BOTH
    def test_other_receivers_still_run(self, decorator: Decorator, run: Any) -> None:
        """What one receiver saves, every other receiver of the row hears."""
        calls: list[str] = []

        @decorator(post_save, sender=Item)
        def saving(instance: Item, **kwargs: Any) -> None:
            calls.append("saving")
            instance.name = "second"
            instance.save()

        @decorator(post_save, sender=Item)
        def hearing(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)

        run(lambda: Item.objects.create(name="first"))

        # At once both hear of one object; what waits for the commit hears of it as it was sent.
        first_event = "second" if decorator is receiver else "first"
        assert calls == ["saving", "second", first_event]

    @BOTH
    def test_native_receivers_still_run(self, decorator: Decorator, run: Any) -> None:
        """Django's own receivers hear what ours save."""
        calls: list[str] = []

        @decorator(post_save, sender=Item)
        def saving(instance: Item, **kwargs: Any) -> None:
            instance.save()

        post_save.connect(lambda **kwargs: calls.append("native"), sender=Item, weak=False)

        run(Item.objects.create)

        assert calls == ["native", "native"]

    @BOTH
    def test_two_rows_are_not_confused(self, decorator: Decorator, run: Any) -> None:
        """A receiver whose work saves another row of the model runs for that row too."""
        calls: list[str] = []

        @decorator(post_save, sender=Item)
        def up(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)
            if instance.parent is not None:
                instance.parent.save()
            for child in Item.objects.filter(parent=instance.pk):
                child.save()

        root = Item(name="root")
        Item.objects.bulk_create([root])
        run(lambda: Item.objects.create(name="leaf", parent=Item.objects.get()))

        assert calls == ["leaf", "root"]

    @BOTH
    def test_a_proxy_is_the_same_row(self, decorator: Decorator, run: Any) -> None:
        """Saving the row through a proxy does not call the receiver of both again."""
        calls: list[str] = []

        @decorator(post_save, sender=[Item, ItemProxy])
        def both(sender: type, instance: Item, **kwargs: Any) -> None:
            calls.append(sender.__name__)
            ItemProxy.objects.get(pk=instance.pk).save()

        run(Item.objects.create)

        assert calls == ["Item"]

    def test_a_child_and_its_parent_end(self, db: None) -> None:
        """A receiver of both models of an inheritance runs once for each of the two rows."""
        calls: list[str] = []

        @receiver(post_save, sender=[Item, SpecialItem])
        def both(sender: type, instance: Item, **kwargs: Any) -> None:
            calls.append(sender.__name__)
            Item.objects.get(pk=instance.pk).save()
            SpecialItem.objects.get(pk=instance.pk).save()

        SpecialItem.objects.create()

        assert calls == ["SpecialItem", "Item"]

    def test_one_receiver_of_several_signals(self, db: None) -> None:
        """The receiver is one, whichever of its signals its work sends."""
        calls: list[str] = []

        @receiver([pre_save, post_save], sender=Item)
        def both(signal: Signal, instance: Item, **kwargs: Any) -> None:
            calls.append("pre" if signal is pre_save else "post")
            if signal is post_save:
                instance.save()

        Item.objects.create()

        assert calls == ["pre", "post"]

    def test_an_unsaved_row_is_known_by_its_object(self, db: None) -> None:
        """A ``pre_save`` receiver that saves the object, which has no key yet, runs once."""
        calls: list[Any] = []

        @receiver([pre_save, post_save], sender=Item)
        def saving(signal: Signal, instance: Item, **kwargs: Any) -> None:
            calls.append((signal is pre_save, instance.pk))
            if instance.pk is None:
                instance.save()

        item = Item()
        item.save()

        assert calls == [(True, None), (False, item.pk)]

    def test_two_unsaved_rows_are_not_confused(self, db: None) -> None:
        """A ``pre_save`` receiver that makes another row runs for that one."""
        calls: list[str] = []

        @receiver(pre_save, sender=Item)
        def saving(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)
            if instance.name == "first":
                Item.objects.create(name="second")

        Item.objects.create(name="first")

        assert calls == ["first", "second"]

    @pytest.mark.django_db(transaction=True, databases=["default", "other"])
    @BOTH
    def test_the_same_key_on_two_databases_is_two_rows(self, decorator: Decorator) -> None:
        """A receiver that copies its row to another database runs there, and ends."""
        calls: list[str] = []

        @decorator(post_save, sender=Item)
        def copy(instance: Item, using: str, **kwargs: Any) -> None:
            calls.append(using)
            instance.save(using="other" if using == "default" else "default")

        Item.objects.create(pk=7)

        assert calls == ["default", "other"]
        assert Item.objects.using("other").get().pk == 7

    def test_a_row_that_its_receiver_deletes(self, transactional_db: None) -> None:
        """Deleting is another event of the same row: the receiver of both is not called again."""
        calls: list[str] = []

        @receiver([post_save, post_delete], sender=Item)
        def both(signal: Signal, instance: Item, **kwargs: Any) -> None:
            calls.append("saved" if signal is post_save else "deleted")
            if signal is post_save:
                instance.delete()

        Item.objects.create()

        assert calls == ["saved"]

    def test_a_custom_signal_with_an_instance(self) -> None:
        """An event of a custom signal is about the row that it names as ``instance``."""
        signal = Signal()
        calls: list[Any] = []

        @receiver(signal)
        def again(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.pk)
            signal.send(None, instance=Item(pk=1))
            signal.send(None, instance=Item(pk=2))

        signal.send(None, instance=Item(pk=1))

        assert calls == [1, 2]

    def test_an_exception_ends_the_chain(self, transactional_db: None) -> None:
        """A receiver that raised is called again by the next save."""
        calls: list[int] = []

        @receiver(post_save, sender=Item)
        def fail(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.pk)
            raise ZeroDivisionError

        item = Item()
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                item.save()

        assert calls == [item.pk, item.pk]
        assert lineage.current() == ()


class TestAcrossTime:
    """The chain follows the work over commits, tasks of asyncio and threads of ours."""

    def test_a_chain_over_two_commits(self, run: Any) -> None:
        """A → B → A ends, each link after another commit."""
        calls: list[str] = []

        @receiver_on_commit(post_save, sender=Item)
        def a(instance: Item, **kwargs: Any) -> None:
            calls.append("A")
            with transaction.atomic():
                Tag.objects.create()

        @receiver_on_commit(post_save, sender=Tag)
        def b(**kwargs: Any) -> None:
            calls.append("B")
            with transaction.atomic():
                Item.objects.get().save()

        run(Item.objects.create)

        assert calls == ["A", "B"]

    def test_a_chain_that_begins_before_the_commit(self, run: Any) -> None:
        """What a receiver caused at once is still its work after the commit."""
        calls: list[str] = []

        @receiver(post_save, sender=Item)
        def at_once(instance: Item, **kwargs: Any) -> None:
            calls.append("at once")
            Tag.objects.create()

        @receiver_on_commit(post_save, sender=Tag)
        def later(**kwargs: Any) -> None:
            calls.append("later")
            Item.objects.get().save()

        run(Item.objects.create)

        assert calls == ["at once", "later"]

    def test_two_events_of_one_transaction_have_two_chains(self, transactional_db: None) -> None:
        """Events that wait together are not taken for each other's cause."""
        calls: list[str] = []

        @receiver_on_commit(post_save, sender=Item)
        def saving(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)
            instance.save()

        with transaction.atomic():
            Item.objects.create(name="first")
            Item.objects.create(name="second")

        assert calls == ["first", "second"]

    @pytest.mark.parametrize("loop", [False, True], ids=["no loop", "running loop"])
    def test_an_async_receiver_that_saves_its_row(self, transactional_db: None, loop: bool) -> None:
        """An ``async def`` receiver is guarded over its awaits and the thread it may run in."""
        signal = Signal()
        calls: list[str] = []

        @receiver([post_save, signal], sender=Item)
        async def saving(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)
            await asyncio.sleep(0)
            await instance.asave()

        item = Item(name="item")
        Item.objects.bulk_create([item])

        async def main() -> None:
            signal.send(Item, instance=item)

        asyncio.run(main()) if loop else item.save()

        assert calls == ["item"]
        assert lineage.current() == ()

    def test_an_asyncio_task_belongs_to_the_work_that_started_it(
        self, transactional_db: None
    ) -> None:
        """A task started by a receiver saves the row without calling the receiver again."""
        calls: list[str] = []

        @receiver(post_save, sender=Item)
        async def saving(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)
            await asyncio.create_task(instance.asave())

        Item.objects.create(name="item")

        assert calls == ["item"]

    def test_asend_from_two_tasks(self) -> None:
        """Two tasks that send for one row at once do not take each other for the cause."""
        signal = Signal()
        calls: list[str] = []

        @receiver(signal)
        async def slow(name: str, **kwargs: Any) -> None:
            calls.append(name)
            await asyncio.sleep(0)

        async def main() -> None:
            item = Item(pk=1)
            await asyncio.gather(
                *(signal.asend(None, instance=item, name=name) for name in ("one", "two"))
            )

        asyncio.run(main())

        assert sorted(calls) == ["one", "two"]

    def test_another_thread_is_not_its_work(self) -> None:
        """A save by another thread at the same time is not guarded."""
        signal = Signal()
        calls: list[str] = []

        @receiver(signal)
        def waiting(name: str, instance: Item, **kwargs: Any) -> None:
            calls.append(name)
            if name == "outer":
                thread = threading.Thread(
                    target=signal.send, args=[None], kwargs={"instance": instance, "name": "thread"}
                )
                # Python 3.14 can hand the context on to threads: this one gets an empty one.
                contextvars.Context().run(thread.start)
                thread.join()

        signal.send(None, instance=Item(pk=1), name="outer")

        assert calls == ["outer", "thread"]


class TestRaise:
    """``recursion="raise"``."""

    def test_the_second_run_raises_with_the_chain(self, transactional_db: None) -> None:
        """The error names the receiver, the row and the way from the first run to the second."""

        @receiver(post_save, sender=Item, recursion="raise")
        def a(instance: Item, **kwargs: Any) -> None:
            Tag.objects.create(pk=5)

        @receiver(post_save, sender=Tag)
        def b(**kwargs: Any) -> None:
            Item.objects.get().save()

        with pytest.raises(RecursionLimitError, match="caused again by its own work") as caught:
            Item.objects.create(pk=3)

        chain = caught.value.chain
        assert [link.split(" on ")[1] for link in chain] == [
            "testapp.Item pk=3 (default)",
            "testapp.Tag pk=5 (default)",
            "testapp.Item pk=3 (default)",
        ]
        assert chain[0] == chain[2]
        assert caught.value.receiver in chain[0]

    def test_the_save_is_rolled_back_with_its_transaction(self, transactional_db: None) -> None:
        """The error leaves ``save()``, and with it the atomic block around it."""

        @receiver(post_save, sender=Item, recursion="raise")
        def saving(instance: Item, **kwargs: Any) -> None:
            instance.save()

        with pytest.raises(RecursionLimitError), transaction.atomic():
            Item.objects.create()

        assert not Item.objects.exists()

    def test_other_rows_do_not_raise(self, db: None) -> None:
        """Only the same row is a recursion."""
        calls: list[str] = []

        @receiver(post_save, sender=Item, recursion="raise")
        def next_row(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)
            if instance.name != "aaa":
                Item.objects.create(name=instance.name + "a")

        Item.objects.create(name="a")

        assert calls == ["a", "aa", "aaa"]


class TestAllow:
    """``recursion="allow"``."""

    @BOTH
    def test_it_runs_until_it_ends_by_itself(self, decorator: Decorator, run: Any) -> None:
        """The receiver is called for its own saves too."""
        calls: list[int] = []

        @decorator(post_save, sender=Item, recursion="allow")
        def count(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.score)
            if instance.score < 3:
                instance.score += 1
                instance.save()

        run(lambda: Item.objects.create(score=1))

        assert calls == [1, 2, 3]

    def test_it_ends_at_the_limit(self, transactional_db: None) -> None:
        """Without an end of its own the depth ends it."""

        @receiver(post_save, sender=Item, recursion="allow")
        def endless(instance: Item, **kwargs: Any) -> None:
            instance.save()

        with pytest.raises(RecursionLimitError, match="number 51 in a chain of at most 50"):
            Item.objects.create()


class TestDepth:
    """``SIGNALS_PLUS_MAX_CHAIN_DEPTH``: chains over ever new rows end."""

    def test_fifty_by_default(self, transactional_db: None) -> None:
        """The limit comes before Python's own: the error is ours, with the whole chain."""

        @receiver(post_save, sender=Item)
        def more(instance: Item, **kwargs: Any) -> None:
            Item.objects.create()

        with pytest.raises(RecursionLimitError, match="SIGNALS_PLUS_MAX_CHAIN_DEPTH") as caught:
            Item.objects.create()

        assert len(caught.value.chain) == 50

    def test_the_setting_is_read_when_it_is_needed(self, transactional_db: None) -> None:
        """``override_settings`` works, and just as many receivers run."""
        calls: list[int] = []

        @receiver(post_save, sender=Item)
        def more(instance: Item, **kwargs: Any) -> None:
            calls.append(instance.pk)
            Item.objects.create()

        with override_settings(SIGNALS_PLUS_MAX_CHAIN_DEPTH=3), pytest.raises(RecursionLimitError):
            Item.objects.create()

        assert len(calls) == 3

    def test_a_chain_over_commits_is_logged_and_ends(
        self, transactional_db: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A robust receiver's endless chain stops; the rows that were committed stay."""
        in_transaction = in_atomic

        @receiver_on_commit(post_save, sender=Item)
        def more(instance: Item, **kwargs: Any) -> None:
            in_transaction(Item.objects.create)

        with override_settings(SIGNALS_PLUS_MAX_CHAIN_DEPTH=4):
            in_transaction(Item.objects.create)

        assert "RecursionLimitError" in caplog.text
        assert Item.objects.count() == 4

    def test_a_chain_over_commits_raises_where_receivers_may(self, transactional_db: None) -> None:
        """With ``robust=False`` the error leaves the outermost ``atomic()``."""

        @receiver_on_commit(post_save, sender=Item, robust=False)
        def more(instance: Item, **kwargs: Any) -> None:
            with transaction.atomic():
                Item.objects.create()

        with pytest.raises(RecursionLimitError), transaction.atomic():
            Item.objects.create()

    def test_events_without_a_row_are_bounded_by_depth_alone(self) -> None:
        """A custom signal without an instance is never skipped, and ends at the limit."""
        signal = Signal()
        calls: list[int] = []

        @receiver(signal)
        def more(number: int, **kwargs: Any) -> None:
            calls.append(number)
            signal.send(None, number=number + 1)

        with (
            override_settings(SIGNALS_PLUS_MAX_CHAIN_DEPTH=5),
            pytest.raises(RecursionLimitError) as caught,
        ):
            signal.send(None, number=1)

        assert calls == [1, 2, 3, 4, 5]
        assert len(set(caught.value.chain)) == 1

    def test_an_async_chain_ends(self) -> None:
        """The depth is counted over ``async def`` receivers too."""
        signal = Signal()
        calls: list[int] = []

        @receiver(signal)
        async def more(number: int, **kwargs: Any) -> None:
            calls.append(number)
            await signal.asend(None, number=number + 1)

        with (
            override_settings(SIGNALS_PLUS_MAX_CHAIN_DEPTH=5),
            pytest.raises(RecursionLimitError),
        ):
            async_to_sync(signal.asend)(None, number=1)

        assert calls == [1, 2, 3, 4, 5]

    def test_a_setting_that_is_no_number_is_named(self) -> None:
        """The error is about the setting, and comes in a chain only."""
        signal = Signal()
        calls: list[int] = []

        @receiver(signal)
        def more(**kwargs: Any) -> None:
            calls.append(1)
            signal.send(None)

        with (
            override_settings(SIGNALS_PLUS_MAX_CHAIN_DEPTH="many"),
            pytest.raises(SettingsError, match="SIGNALS_PLUS_MAX_CHAIN_DEPTH is 'many'"),
        ):
            signal.send(None)

        assert calls == [1]


class TestWithin:
    """``within``: work that a chain caused."""

    def test_the_chain_is_restored(self) -> None:
        """Blocks nest, and an exception ends them too."""
        outer = (Link("outer", None),)
        inner = (*outer, Link("inner", None))

        seen: list[lineage.Chain] = []

        def fail() -> None:
            with lineage.within(inner):
                seen.append(lineage.current())
                raise ZeroDivisionError

        with lineage.within(outer):
            with pytest.raises(ZeroDivisionError):
                fail()
            between = lineage.current()

        assert seen == [inner]
        assert between == outer
        assert lineage.current() == ()

    def test_a_link_reads_as_text(self) -> None:
        """A link names the receiver, and the row if there is one."""
        row = Row.of(Item(pk=1), "other")

        assert str(Link("shop.f", row)) == "shop.f on testapp.Item pk=1 (other)"
        assert str(Link("shop.f", None)) == "shop.f"


class TestHalfAKey:
    def test_rows_without_a_whole_composite_key_are_known_by_their_object(self) -> None:
        """(shop, None) names no row: two such objects are two."""
        one, two = CompositeItem(shop="a"), CompositeItem(shop="a")

        first, second = Row.of(one, None), Row.of(two, None)

        assert first is not None
        assert second is not None
        assert first.key != second.key
