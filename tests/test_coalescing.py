"""Several events of one row become one: what the transaction did to the row, seen from outside."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete
from django.dispatch import Signal
from django.utils.functional import SimpleLazyObject
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signals_plus import Event, receiver_on_commit, receiver_task
from signals_plus.exceptions import InvalidReceiverError
from signals_plus.testing import isolated_receivers, run_on_commit
from tests.settings import DATABASES
from tests.testapp.models import Item, ItemProxy, SpecialItem, UuidItem

received: list[Any] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    received.clear()


def record(signal: Signal, instance: Any, **kwargs: Any) -> None:
    received.append((signal, instance.name, kwargs.get("created"), kwargs.get("update_fields")))


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or inside of one a savepoint, that is taken back at its end."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def save(item: Item, name: str, update_fields: list[str] | None = None) -> Item:
    item.name = name
    item.save(update_fields=update_fields)
    return item


@pytest.fixture
def item(database: str) -> Item:
    return Item.objects.create(name="before")


class TestCoalesce:
    @pytest.fixture(autouse=True)
    def _connect(self, item: Item) -> None:
        receiver_on_commit([post_save, post_delete], sender=Item, coalesce=True)(record)

    def test_creation_wins_over_updates(self, database: str) -> None:
        """The row is new, with its last state."""
        with run_on_commit(), transaction.atomic():
            save(save(Item(), "a"), "b", ["name"])

        assert received == [(post_save, "b", True, None)]

    def test_updates_unite_their_fields(self, item: Item, database: str) -> None:
        """Whoever looks at update_fields misses none."""
        with run_on_commit(), transaction.atomic():
            save(item, "a", ["name"])
            save(item, "b", ["score", "name"])

        assert received == [(post_save, "b", False, frozenset({"name", "score"}))]

    def test_an_update_of_all_fields_wins(self, item: Item, database: str) -> None:
        """None stands for all fields."""
        with run_on_commit(), transaction.atomic():
            save(item, "a")
            save(item, "b", ["score"])

        assert received == [(post_save, "b", False, None)]

    def test_deletion_wins_over_updates(self, item: Item, database: str) -> None:
        """The row as it was when it was deleted."""
        with run_on_commit(), transaction.atomic():
            save(item, "a")
            item.delete()

        assert received == [(post_delete, "a", None, None)]

    def test_what_was_created_and_deleted_is_nothing(self, database: str) -> None:
        """From outside, there never was such a row."""
        with run_on_commit(), transaction.atomic():
            save(save(Item(), "a"), "b").delete()

        assert received == []

    def test_a_row_deleted_and_inserted_again_is_created(self, item: Item, database: str) -> None:
        """What is left of it is a row, and no field of it is the old one."""
        pk = item.pk

        with run_on_commit(), transaction.atomic():
            item.delete()
            save(save(Item(pk=pk), "a"), "b", ["name"])

        assert received == [(post_save, "b", True, None)]

    def test_a_row_that_was_there_before_is_deleted_in_the_end(
        self, item: Item, database: str
    ) -> None:
        """Although the last of its lives began in the same transaction."""
        pk = item.pk

        with run_on_commit(), transaction.atomic():
            item.delete()
            save(Item(pk=pk), "a").delete()

        assert received == [(post_delete, "a", None, None)]

    def test_what_a_savepoint_takes_back_does_not_count(self, item: Item, database: str) -> None:
        """Neither a deletion nor the fields of a save that was rolled back."""
        with run_on_commit(), transaction.atomic():
            save(item, "a", ["name"])
            with rolled_back():
                save(item, "b", ["score"])
                Item.objects.get(pk=item.pk).delete()

        assert received == [(post_save, "a", False, frozenset({"name"}))]

    def test_rows_come_in_the_order_in_which_they_were_first_concerned(
        self, item: Item, database: str
    ) -> None:
        """One call each."""
        other = save(Item(), "other")

        with run_on_commit(), transaction.atomic():
            save(item, "a")
            save(other, "b")
            save(item, "c")

        assert [name for _, name, *_ in received[-2:]] == ["c", "b"]

    def test_one_key_on_two_databases_is_two_rows(self, item: Item, database: str) -> None:
        """A row is known by its database too."""
        with run_on_commit(), transaction.atomic(), transaction.atomic(using="other"):
            save(item, "a")
            Item(pk=item.pk, name="b").save(using="other")

        assert sorted(name for _, name, *_ in received) == ["a", "b"]


@pytest.mark.usefixtures("database")
class TestWhatIsOneRow:
    def test_a_proxy_and_its_model_are(self, item: Item, database: str) -> None:
        """They share a table."""
        receiver_on_commit(post_save, sender=[Item, ItemProxy], coalesce=True)(record)

        with run_on_commit(), transaction.atomic():
            save(item, "a")
            save(ItemProxy.objects.get(), "b")

        assert [name for _, name, *_ in received] == ["b"]

    def test_a_parent_and_its_child_are_not(self, database: str) -> None:
        """A delete is sent for both, and a receiver of both is told both."""
        special = SpecialItem.objects.create(name="a")
        receiver_on_commit(post_delete, sender=[Item, SpecialItem], coalesce=True)(record)

        with run_on_commit(), transaction.atomic():
            special.delete()

        assert len(received) == 2

    def test_a_child_that_was_created_and_deleted_leaves_nothing_of_its_parent(
        self, database: str
    ) -> None:
        """A save is sent for the child alone, a delete for both."""
        receiver_on_commit([post_save, post_delete], coalesce=True)(record)

        with run_on_commit(), transaction.atomic():
            SpecialItem.objects.create(name="a").delete()

        assert received == []

    @pytest.mark.parametrize("written", [str, lambda pk: pk.hex, lambda pk: str(pk).upper()])
    def test_a_key_is_one_however_it_is_written(
        self, database: str, written: Callable[[uuid.UUID], str]
    ) -> None:
        """A UUID as text, with hyphens or without."""
        row = UuidItem.objects.create(name="a")
        receiver_on_commit(post_save, sender=UuidItem, coalesce=True)(record)

        with run_on_commit(), transaction.atomic():
            UuidItem(pk=written(row.pk), name="b").save(force_update=True)
            UuidItem.objects.get().save()

        assert [name for _, name, *_ in received] == ["b"]

    def test_deletion_is_told_once_to_a_receiver_of_both_its_signals(
        self, item: Item, database: str
    ) -> None:
        """pre_delete and post_delete are about the same deletion."""
        receiver_on_commit([pre_delete, post_delete], sender=Item, coalesce=True)(record)

        with run_on_commit(), transaction.atomic():
            item.delete()

        assert received == [(post_delete, "before", None, None)]

    def test_events_of_another_signal_are_merged_among_themselves(
        self, item: Item, database: str
    ) -> None:
        """A custom signal says something else than that the row was saved."""
        custom = Signal()
        receiver_on_commit([post_save, custom], coalesce=True)(record)

        with run_on_commit(), transaction.atomic():
            save(item, "a")
            for name in "bc":
                item.name = name
                custom.send(sender=Item, instance=item, using="default")
            save(item, "d")

        assert [(signal, name) for signal, name, *_ in received] == [
            (post_save, "d"),
            (custom, "c"),
        ]

    def test_events_without_a_row_are_left_as_they_are(self, database: str) -> None:
        """Nothing says what they would have in common."""
        custom = Signal()
        receiver_on_commit(custom, coalesce=True)(lambda n, **kwargs: received.append(n))

        with run_on_commit(), transaction.atomic():
            custom.send(sender=None, n=1)
            custom.send(sender=None, n=1)

        assert received == [1, 1]


@pytest.mark.usefixtures("database")
class TestEventsThatDjangoDoesNotSend:
    def test_fields_of_a_signal_sent_by_hand_may_be_a_list(self, item: Item, database: str) -> None:
        """An error after the commit would cost the events, and the callbacks behind them."""
        receiver_on_commit(post_save, sender=Item, coalesce=True)(record)

        with run_on_commit(), transaction.atomic():
            for fields in (["name"], ["score"]):
                post_save.send(
                    sender=Item, instance=item, created=False, update_fields=fields, raw=False,
                    using="default",
                )  # fmt: skip

        assert received == [(post_save, "before", False, frozenset({"name", "score"}))]

    @pytest.mark.parametrize("fields", [["name"], 5, [["name"]], "name", object()])
    def test_fields_of_a_custom_signal_are_its_own(
        self, item: Item, database: str, fields: Any
    ) -> None:
        """The last event is delivered as it was sent."""
        custom = Signal()
        receiver_on_commit(custom, coalesce=True)(record)

        with run_on_commit(), transaction.atomic():
            for _ in range(2):
                custom.send(sender=Item, instance=item, update_fields=fields)

        assert received == [(custom, "before", None, fields)]

    def test_a_lazy_object_is_the_row_behind_it(self, item: Item, database: str) -> None:
        """request.user, for instance."""
        custom = Signal()
        receiver_on_commit(custom, coalesce=True)(record)
        lazy = SimpleLazyObject(lambda: item)

        with run_on_commit(), transaction.atomic():
            custom.send(sender=Item, instance=lazy)
            custom.send(sender=Item, instance=item)
            item.name = "not saved"

        assert [name for _, name, *_ in received] == ["before"]


class TestCoalesceWithBatch:
    def test_delivers_what_is_left_in_one_call(self, database: str) -> None:
        """Each row once."""

        def batch(events: list[Event], **kwargs: Any) -> None:
            received.append([event.instance.name for event in events])

        receiver_on_commit(post_save, sender=Item, coalesce=True, batch=True)(batch)

        with run_on_commit(), transaction.atomic():
            first, second = save(Item(), "a"), save(Item(), "b")
            save(first, "c")
            save(second, "d")

        assert received == [["c", "d"]]


class TestRefusal:
    @pytest.mark.parametrize("decorator", [receiver_on_commit, receiver_task])
    def test_of_m2m_changed(self, decorator: Any) -> None:
        """What was added and what was removed cannot be one event."""
        with pytest.raises(InvalidReceiverError, match="merging them would lose it"):
            decorator(m2m_changed, sender=Item.tags.through, coalesce=True)(record)


@dataclass(frozen=True)
class Put:
    pk: int

    def run(self) -> None:
        item = Item.objects.filter(pk=self.pk).first() or Item(pk=self.pk)
        item.save()


@dataclass(frozen=True)
class Remove:
    pk: int

    def run(self) -> None:
        Item.objects.filter(pk=self.pk).delete()


@dataclass(frozen=True)
class Savepoint:
    raises: bool
    body: list[Any]

    def run(self) -> None:
        try:
            with transaction.atomic():
                for step in self.body:
                    step.run()
                if self.raises:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass


pks = st.integers(1, 3)
steps = st.recursive(
    st.builds(Put, pks) | st.builds(Remove, pks),
    lambda step: st.builds(Savepoint, st.booleans(), st.lists(step, min_size=1, max_size=4)),
    max_leaves=8,
)


@contextmanager
def recorded() -> Iterator[tuple[dict[int, str], set[int]]]:
    """Record what a coalescing receiver is told, and which rows plain callbacks tell of."""
    told: dict[int, str] = {}
    touched: set[int] = set()

    def coalesced(signal: Signal, instance: Item, created: bool | None = None, **_: Any) -> None:
        assert instance.pk not in told
        told[instance.pk] = "deleted" if signal is post_delete else "there"

    def by_hand(instance: Item, **kwargs: Any) -> None:
        pk = instance.pk
        transaction.on_commit(lambda: touched.add(pk))

    with isolated_receivers():
        receiver_on_commit([post_save, post_delete], sender=Item, coalesce=True)(coalesced)
        for signal in (post_save, post_delete):
            signal.connect(by_hand, sender=Item)
        yield told, touched


@pytest.mark.django_db(transaction=True)
class TestNetEffect:
    @settings(
        deadline=None,
        max_examples=30 if DATABASES["default"]["ENGINE"].endswith("mysql") else 150,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.lists(st.lists(steps, min_size=1, max_size=6), min_size=1, max_size=3))
    def test_is_what_the_database_shows_before_and_after(
        self, transactions: list[list[Any]]
    ) -> None:
        """Each row that was touched, by whether it was there before and is there now."""
        Item.objects.all().delete()
        for body in transactions:
            before = set(Item.objects.values_list("pk", flat=True))

            with recorded() as (told, touched):
                Savepoint(False, body).run()

            after = set(Item.objects.values_list("pk", flat=True))
            expected = {
                pk: "there" if pk in after else "deleted" for pk in touched & (before | after)
            }
            assert told == expected
