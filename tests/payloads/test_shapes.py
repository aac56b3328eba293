"""Events that differ in the key of their row alone: kept, written and read as one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from signals_plus import payloads
from signals_plus.exceptions import PayloadError
from signals_plus.payloads.shapes import MAX_SHAPES, KnownShapes, Shape
from tests.payloads.travel import RECEIVER, arrive, encode
from tests.testapp.models import Item, UuidItem

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def saved(pk: int, **kwargs: Any) -> payloads.Fragment:
    item = Item(pk=pk)
    item._state.adding = False
    item._state.db = "default"
    return encode(instance=item, using="default", **kwargs)


def encode_deleted(item: Item) -> payloads.Fragment:
    return payloads.encode_event(
        RECEIVER, signal="post_delete", sender=Item, kwargs={"instance": item}
    )


def composed(*events: payloads.Fragment) -> list[Any]:
    written: list[Any] = json.loads(payloads.compose(RECEIVER, events))["events"]
    return written


class TestCompose:
    def test_writes_events_that_differ_in_the_key_alone_as_one(self) -> None:
        """An import of a thousand rows is a few kilobytes."""
        events = [saved(pk, created=True) for pk in range(1000)]

        written = composed(*events)

        assert written == [
            [
                "post_save",
                "testapp.Item",
                {"instance": {"$models": [*range(1000)]}, "using": "default", "created": True},
            ]
        ]

    def test_keeps_the_order(self) -> None:
        """Only neighbours are put together."""
        events = [saved(1, created=True), saved(2, created=False), saved(3, created=True)]

        assert [event[2]["instance"] for event in composed(*events)] == [
            {"$model": 1}, {"$model": 2}, {"$model": 3},
        ]  # fmt: skip

    def test_writes_equal_events_without_a_row_as_often_as_they_were_sent(self) -> None:
        """They have no key to be told apart by."""
        assert len(composed(encode(a=1), encode(a=1))) == 2

    @pytest.mark.parametrize("other", [{"created": 1}, {"created": 1.0}, {"raw": True}])
    def test_tells_values_apart_that_are_equal(self, other: dict[str, Any]) -> None:
        """1 == True == 1.0, and each has to come back as what it was."""
        first, second = composed(saved(1, created=True), saved(2, **other))

        assert repr(second[2]) == repr({"instance": {"$model": 2}, "using": "default", **other})
        assert first[2]["created"] is True

    def test_tells_lists_apart_that_change(self) -> None:
        """Nothing that can change is remembered."""
        tags = ["a"]
        first = saved(1, tags=tags)
        tags.append("b")
        second = saved(2, tags=tags)

        assert [event[2]["tags"] for event in composed(first, second)] == [["a"], ["a", "b"]]


class TestLoad:
    def test_gives_each_row_its_event(self) -> None:
        """As if they had been written one by one."""
        items = [Item.objects.create(name=name) for name in "abc"]

        loaded = arrive(*[encode(instance=item, using="default", tags=["a"]) for item in items])

        assert [event.kwargs["instance"] for event in loaded] == items
        assert loaded[0].kwargs["tags"] is not loaded[1].kwargs["tags"]

    def test_takes_keys_that_are_text(self) -> None:
        """A UUID is one in JSON."""
        items = [UuidItem.objects.create() for _ in range(3)]
        events = [
            payloads.encode_event(
                RECEIVER,
                signal="post_save",
                sender=UuidItem,
                kwargs={"instance": item, "using": "default"},
            )
            for item in items
        ]

        assert [event.kwargs["instance"] for event in arrive(*events)] == items

    @pytest.mark.parametrize("keys", ["5", "[]", "null", "{}", "[[1]]", '[{"a":1}]', "[null]"])
    def test_refuses_keys_that_no_sender_wrote(self, keys: str) -> None:
        """A list of keys, and not of anything else."""
        event = (
            f'["post_save","testapp.Item",{{"instance":{{"$models":{keys}}},"using":"default"}}]'
        )

        with pytest.raises(PayloadError):
            arrive(event)

    def test_refuses_many_rows_elsewhere(self) -> None:
        """Only the instance of an event can stand for several."""
        with pytest.raises(PayloadError, match="unknown tag"):
            arrive('["post_save","testapp.Item",{"rows":{"$models":[1,2]},"using":"default"}]')


class TestRowOfNoDatabase:
    @pytest.mark.parametrize("more", [{}, {"using": None}])
    def test_is_looked_for_on_the_default_one(self, more: dict[str, Any]) -> None:
        """Somebody made the object by hand, and said that it is saved."""
        Item.objects.create(pk=5, name="a")
        item = Item(pk=5)
        item._state.adding = False

        (event,) = arrive(encode(instance=item, **more))

        assert event.kwargs["instance"].name == "a"


class TestKnownShapes:
    @pytest.mark.parametrize("deleted", [False, True])
    def test_knows_the_rows_of_all_messages_as_alike(self, deleted: bool) -> None:
        """A worker that saves the row of each message writes one shape, not one for each."""
        items = [Item.objects.using("other").create(name="a") for _ in range(2)]
        if deleted:
            events = [encode_deleted(item) for item in items]
        else:
            events = [encode(instance=item) for item in items]

        arrived = [arrive(event)[0].kwargs["instance"] for event in events]

        one, other = (encode(instance=item, using=item._state.db) for item in arrived)
        assert one.shape is other.shape

    def test_stays_within_bounds(self) -> None:
        """A signal whose arguments are always new fills no memory."""
        shapes = KnownShapes()

        for number in range(2 * MAX_SHAPES):
            shapes.add(number, {"instance": None, "using": f"alias {number}"}, Shape("", ""))

        assert len(shapes._shapes) <= MAX_SHAPES
