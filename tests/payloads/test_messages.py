"""Payloads of messages: their format, what a worker reads, and what a forged one cannot do."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import sys
import types
import uuid
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import connections, models
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from signals_plus import payload_type, payloads
from signals_plus.exceptions import PayloadError
from signals_plus.links import Link, Row
from tests.payloads.travel import arrive, encode, forged, there_and_back, written
from tests.testapp.models import (
    CompositeItem,
    DayItem,
    DecimalKeyItem,
    HiddenItem,
    Item,
    ItemProxy,
    Point,
    PointItem,
    ShoutingItem,
    SpecialItem,
    Tag,
    UuidItem,
)

pytestmark = pytest.mark.django_db(databases=["default", "other"])


class Shade(models.TextChoices):
    DARK = "dark"


CHAIN = (Link("shop.r", Row("testapp.Item pk=1 (default)")), Link("shop.s", None))
WRITTEN_CHAIN = payloads.encode_chain(CHAIN)


class TestEncodeEvent:
    def test_is_short_for_the_usual_event(self) -> None:
        """The format, for whoever reads a queue."""
        item = Item.objects.create(pk=17, name="a")

        event = encode(instance=item, created=True, raw=False, update_fields=None, using="default")

        assert event.text == (
            '["post_save","testapp.Item",{"instance":{"$model":17},"created":true,"raw":false,'
            '"update_fields":null,"using":"default"}]'
        )

    def test_writes_out_a_row_that_is_not_the_senders(self) -> None:
        """Of another class, or on another database than the event's."""
        item = Item.objects.using("other").create(pk=17, name="a")

        assert (
            '{"$model":["testapp.Item","other",17]}' in encode(instance=item, using="default").text
        )
        assert '{"$model":["testapp.Item","other",17]}' in encode(instance=item).text
        assert '{"$model":["testapp.Item","other",17]}' in encode(other=item, using="other").text

    def test_is_one_text_for_one_event(self) -> None:
        """Sets have no order, and the payload has."""
        assert encode(a=frozenset("abcdef")) == encode(a=frozenset("fedcba"))

    def test_takes_any_name_of_an_argument(self) -> None:
        """Python allows any text after the asterisks."""
        names = {'a"b': 1, "größe": 2, "a\\": 3, "": 4}

        (event,) = arrive(encode(**names))

        assert event.kwargs == names

    @pytest.mark.parametrize("size", [2000, 300_000])
    def test_refuses_what_is_too_large(self, size: int, settings: Any) -> None:
        """The text says how large it is, and what to send instead."""
        settings.SIGNALS_PLUS_MAX_PAYLOAD_BYTES = 1024

        overhead = len(encode(data="").text)

        with pytest.raises(PayloadError) as raised:
            encode(data="ü" * size)

        assert f"takes {6 * size + overhead} bytes as JSON" in str(raised.value)
        assert "SIGNALS_PLUS_MAX_PAYLOAD_BYTES allows 1024. Send the row, or a key" in str(
            raised.value
        )

    def test_takes_what_just_fits(self, settings: Any) -> None:
        """The limit itself is allowed."""
        size = len(encode(data="a" * 2000).text)

        settings.SIGNALS_PLUS_MAX_PAYLOAD_BYTES = size
        encode(data="a" * 2000)
        with pytest.raises(PayloadError):
            encode(data="a" * 2001)

    @pytest.mark.parametrize("sender", ["a string", 5, object, object()])
    def test_refuses_senders_that_nobody_knows(self, sender: object) -> None:
        """A worker could not name them."""
        with pytest.raises(PayloadError, match=r"'shop.r': sender is .*, or name the sender in"):
            payloads.encode_event("shop.r", signal="0", sender=sender, kwargs={})


class Checkout:
    """A sender that is no model."""


def place_order() -> None:
    """Another."""


@payload_type("tests.Shade")
class Tint(models.TextChoices):
    LIGHT = "light"


class TestSenders:
    @pytest.mark.parametrize(
        ("sender", "written"),
        [
            (None, "null"),
            (Item, '"testapp.Item"'),
            (ItemProxy, '"testapp.ItemProxy"'),
            (Item.tags.through, '"testapp.Item_tags"'),
            (apps.get_app_config("testapp"), '{"$app":"testapp"}'),
            (Checkout, f'{{"$sender":"{__name__}.Checkout"}}'),
            (place_order, f'{{"$sender":"{__name__}.place_order"}}'),
            ("a string", '{"$sender":2}'),
            (Tint, '{"$class":["tests.Shade"]}'),
        ],
        ids=lambda value: getattr(value, "__name__", str(value)),
    )
    def test_come_back(self, sender: Any, written: str) -> None:
        """Models and app configs by label, others by their name among the receiver's."""
        senders = (Checkout, place_order, "a string")

        event = payloads.encode_event("r", signal="0", sender=sender, kwargs={}, senders=senders)
        message = payloads.decode("r", payloads.compose("r", [event]), senders)

        assert json.loads(event.text)[1] == json.loads(written)
        assert message.events[0].sender is sender

    def test_of_one_name_have_their_places(self) -> None:
        """Two lambdas, for instance."""
        senders = (lambda: 1, lambda: 2)

        event = payloads.encode_event(
            "r", signal="0", sender=senders[1], kwargs={}, senders=senders
        )
        message = payloads.decode("r", payloads.compose("r", [event]), senders)

        assert message.events[0].sender is senders[1]

    @pytest.mark.parametrize(
        "sender",
        [
            {"$sender": "os.system"}, {"$sender": 9}, {"$sender": True}, {"$sender": []}, {}, [], 5,
            {"$class": "no.Such"}, {"$class": ["no.Such"]}, {"$app": "no"}, {"$app": []},
            {"$decimal": "1"}, "no.Such",
        ],
        ids=str,
    )  # fmt: skip
    def test_that_no_sender_wrote_are_refused(self, sender: Any) -> None:
        """Nothing is looked up but models, apps and what the receiver is connected to."""
        event = written(json.dumps(["post_save", sender, {}]))

        with pytest.raises(PayloadError):
            payloads.decode("r", payloads.compose("r", [event]), (None, Checkout))


class TestCompose:
    def test_joins_events_as_they_are(self) -> None:
        """The format, for whoever reads a queue."""
        text = payloads.compose(
            "shop.r", [written('["a",null,{}]'), written('["b",null,{}]')], WRITTEN_CHAIN
        )

        assert json.loads(text) == {
            "v": 2,
            "receiver": "shop.r",
            "lineage": [["shop.r", "testapp.Item pk=1 (default)"], ["shop.s", None]],
            "events": [["a", None, {}], ["b", None, {}]],
        }

    @given(receiver=st.text())
    def test_takes_any_name_of_a_receiver(self, receiver: str) -> None:
        """name= may be any text, and after the commit nothing may fail."""
        text = payloads.compose(receiver, [written('["a",null,{}]')])

        assert payloads.decode(receiver, text).receiver == receiver


class TestLoad:
    @pytest.mark.parametrize("alias", ["default", "other"])
    @pytest.mark.parametrize("name", ["instance", "row"])
    @pytest.mark.parametrize(
        "make",
        [
            lambda: Item(name="a"),
            lambda: SpecialItem(name="a", extra="b"),
            lambda: ItemProxy(name="a"),
            lambda: UuidItem(name="a"),
            lambda: CompositeItem(shop="a", number=5),
            lambda: HiddenItem(hidden=True),
            lambda: DecimalKeyItem(id=Decimal("1.50")),
            lambda: DayItem(day=date(2026, 1, 1)),
            lambda: PointItem(point=Point(1, 2)),  # type: ignore[misc]
        ],
        ids=[
            "plain", "mti", "proxy", "uuid", "composite", "hidden by its default manager",
            "decimal", "date", "of a type of its own",
        ],
    )  # fmt: skip
    def test_finds_the_row_on_its_own_database(
        self, make: Callable[[], models.Model], name: str, alias: str
    ) -> None:
        """Whatever its key, its inheritance and its managers."""
        row = make()
        row.save(using=alias)

        event = payloads.encode_event(
            "shop.r", signal="post_save", sender=type(row), kwargs={name: row, "using": alias}
        )
        (loaded,) = arrive(event)
        back = loaded.kwargs[name]

        assert type(back) is type(row)
        assert (back, back.pk, back._state.db) == (row, row.pk, alias)

    def test_finds_a_row_whose_key_is_a_choice(self) -> None:
        """An Enum is a value of its field, and travels as that."""
        CompositeItem.objects.create(shop="dark", number=1)
        row = CompositeItem.objects.get()
        row.shop = Shade.DARK

        assert there_and_back(row).shop == "dark"

    def test_of_a_key_that_its_field_cannot_read_is_refused(self) -> None:
        """When the signal is sent, not in the worker."""
        row = PointItem.from_db("default", ["point"], [object()])

        with pytest.raises(PayloadError, match=r"value has the primary key .*, which cannot"):
            encode(value=row)

    def test_finds_a_row_by_a_key_of_another_type(self) -> None:
        """A text from a form that was never read back."""
        Item.objects.create(pk=5, name="a")

        assert there_and_back(Item.from_db("default", ["id"], ["5"])).pk == 5

    def test_finds_a_row_whose_key_the_database_writes_in_another_way(self) -> None:
        """A lax collation takes "a" for "A"; a row that is gone is gone all the same."""
        row, gone = (ShoutingItem.objects.create(name=name) for name in "ab")
        events = [encode(row=row), encode(row=gone)]
        ShoutingItem.objects.filter(pk="b").delete()

        first, second = arrive(*events, on_missing="none")

        assert first.kwargs["row"].pk == "A"
        assert second.kwargs["row"] is None

    def test_reads_once_for_each_model_and_database(self) -> None:
        """Whatever the number of events, and wherever their rows stand."""
        items = [Item.objects.create(name="a") for _ in range(5)]
        tag = Tag.objects.create(name="a")
        others = [Item.objects.using("other").create(name="a") for _ in range(5)]
        events = [encode(instance=item, using="default", rows=[tag]) for item in items]
        events += [encode(instance=item, using="other", rows=[tag, items[0]]) for item in others]

        with (
            CaptureQueriesContext(connections["default"]) as default,
            CaptureQueriesContext(connections["other"]) as other,
        ):
            loaded = arrive(*events)

        assert [event.kwargs["instance"] for event in loaded] == items + others
        assert (len(default), len(other)) == (2, 1)

    def test_gives_a_row_once(self) -> None:
        """Several events of one row hold one object."""
        item = Item.objects.create(name="a")

        first, second = arrive(encode(instance=item), encode(instance=item))

        assert first.kwargs["instance"] is second.kwargs["instance"]

    def test_reads_more_rows_than_a_query_takes_keys(self) -> None:
        """In as many queries as the database needs."""
        items = Item.objects.bulk_create([Item(name="a") for _ in range(2500)])

        loaded = arrive(*[encode(instance=item, using="default") for item in items])

        assert [event.kwargs["instance"] for event in loaded] == items


class TestOnMissing:
    @pytest.fixture
    def events(self) -> list[payloads.Fragment]:
        gone, here = (Item.objects.create(pk=pk, name="a") for pk in (1, 2))
        events = [encode(instance=each, rows=[each, "a"], using="default") for each in (gone, here)]
        gone.delete()
        return events

    def test_raise(self, events: list[payloads.Fragment]) -> None:
        """With the model, the key and the database."""
        with pytest.raises(Item.DoesNotExist, match=r"^testapp.Item pk=1 \(default\) does not"):
            arrive(*events, on_missing="raise")

    def test_none(self, events: list[payloads.Fragment]) -> None:
        """In its place, wherever that is."""
        first, second = arrive(*events, on_missing="none")

        assert first.kwargs == {"instance": None, "rows": [None, "a"], "using": "default"}
        assert second.kwargs["rows"][0].pk == 2

    def test_skip(self, events: list[payloads.Fragment], caplog: pytest.LogCaptureFixture) -> None:
        """The event is left out, and one line says so."""
        with caplog.at_level(logging.INFO, "signals_plus"):
            loaded = arrive(*events, on_missing="skip")

        assert [event.kwargs["instance"].pk for event in loaded] == [2]
        assert [record.getMessage() for record in caplog.records] == [
            "Task shop.r skipped 1 of 2 events, whose rows are gone: testapp.Item pk=1 (default)"
        ]

    def test_skip_of_many_is_one_short_line(self, caplog: pytest.LogCaptureFixture) -> None:
        """However many they are, and however long their keys."""
        rows = [
            CompositeItem.from_db("default", ["shop", "number"], ["a" * 900, n]) for n in range(99)
        ]

        with caplog.at_level(logging.INFO, "signals_plus"):
            assert arrive(*[encode(row=row) for row in rows], on_missing="skip") == []

        (record,) = caplog.records
        assert "skipped 99 of 99 events" in record.getMessage()
        assert record.getMessage().endswith(" and 94 more")
        assert len(record.getMessage()) < 600


VERSION_1 = (
    '{"v":1,"receiver":"shop.r","signal":"post_save","sender":"testapp.Item","kwargs":{"instance":'
    '{"$model":["testapp.Item","default",7]},"created":false,"update_fields":{"$frozenset":["a","b"]'
    '},"raw":false,"using":"default"},"lineage":[["shop.s",null],["shop.r"'
    ',"testapp.Item pk=7 (default)"]]}'
)
VERSION_1_CUSTOM = (
    '{"v":1,"receiver":"shop.r","signal":"1","sender":null,"kwargs":{"rows":[{"$model":["testapp.'
    'UuidItem","other","00000000-0000-0000-0000-000000000001"]},{"$model":["testapp.CompositeItem",'
    '"default",["a",5]]}],"data":{"$dict":{"$model":[1.5,null]}}},"lineage":[]}'
)


class TestVersion1:
    """Payloads of the previous format, letter by letter."""

    def test_is_read(self) -> None:
        """One event of Django's."""
        item = Item.objects.create(pk=7, name="a")

        message = payloads.decode("shop.r", VERSION_1)
        (event,) = payloads.load(message, "raise")

        assert event[:3] == (
            "post_save",
            Item,
            {
                "instance": item, "created": False, "update_fields": frozenset({"a", "b"}),
                "raw": False, "using": "default",
            },
        )  # fmt: skip
        # Without the receiver's own step, which follows from the event.
        assert [str(link) for link in message.chain] == ["shop.s"]

    def test_of_a_custom_signal_is_read(self) -> None:
        """A signal by its place, rows inside, a dictionary that looks like a tag."""
        one = UuidItem.objects.using("other").create(id=uuid.UUID(int=1), name="a")
        two = CompositeItem.objects.create(shop="a", number=5)
        labels = payloads.signal_labels(place_order, [post_save, Signal()])

        (event,) = payloads.load(payloads.decode("shop.r", VERSION_1_CUSTOM), "raise")

        assert event.kwargs == {"rows": [one, two], "data": {"$model": [1.5, None]}}
        assert payloads.signal_of("shop.r", labels, event.signal) is list(labels)[1]


def whole(**changes: Any) -> str:
    return json.dumps(
        {"v": 2, "receiver": "shop.r", "events": [["a", None, {}]], "lineage": [], **changes}
    )


class TestDecode:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (None, "is no payload"),
            ("", "is no payload"),
            ("{", "is no payload"),
            ("[]", "is no payload"),
            ("null", "is no payload"),
            ("{}", "is no payload"),
            ("[" * 100_000, "is no payload"),
            ("1" * 5000, "is no payload"),
            (b'{"v":2}', "is no payload"),
            ('{"v":NaN}', "is no payload"),
            ('{"v":1}', "is malformed"),
            ('{"v":2}', "is malformed"),
            (whole(events=5), "is malformed"),
            (whole(events=[]), "is malformed"),
            (whole(events={"a": 1}), "is malformed"),
            (whole(events=[5]), "is malformed"),
            (whole(events=["abc"]), "is malformed"),
            (whole(events=[["a", None]]), "is malformed"),
            (whole(events=[[5, None, {}]]), "is malformed"),
            (whole(events=[["a", None, []]]), "is malformed"),
            (whole(events=[["a", None, {"sender": 1}]]), "is malformed"),
            (whole(events=[["a", None, {"signal": 1}]]), "is malformed"),
            (whole(lineage=5), "is malformed"),
            (whole(lineage="ab"), "is malformed"),
            (whole(lineage=["ab"]), "is malformed"),
            (whole(lineage=[[1, 2]]), "is malformed"),
            (whole(lineage=[["a", ["b"]]]), "is malformed"),
            (whole(lineage=[["a", None, 5]]), "is malformed"),
            (whole(lineage=[["a", None, [["b", "head", ["key"]]]]]), "is malformed"),
            (whole(lineage=[["a", None, [["b", "head", "tail", "key"]]]]), "is malformed"),
            (whole(lineage=[["a", None, [["b", "head", "tail", [5]]]]]), "is malformed"),
            (whole(receiver=None), "is for receiver None"),
            (whole(receiver="os.system"), "is for receiver 'os.system'"),
            (whole(v=0), "has version 0, and this release reads up to version 2"),
            (whole(v=3), "Upgrade the workers before the processes that send"),
            (whole(v=True), "has version True"),
            (whole(v=[1]), "has version [1]"),
            (whole(events=[["a", "no.Such", {}]]), "the model 'no.Such', which is not installed"),
            (whole(events=[["a", "os.path.join", {}]]), "which is not installed here"),
            (whole(events=[["a", "Item", {}]]), "which is not installed here"),
        ],
    )
    def test_refuses_what_no_sender_wrote(self, text: Any, words: str) -> None:
        """One error for whatever is wrong with a payload, and no attempt to import anything."""
        before = set(sys.modules)

        with pytest.raises(PayloadError) as raised:
            payloads.decode("shop.r", text)

        assert words in str(raised.value)
        assert set(sys.modules) == before

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({"$call": "os.system"}, "value[0] holds the unknown tag '$call'"),
            ({"$model": "testapp.Item"}, "refers to no row"),
            ({"$model": 5}, "refers to no row"),
            ({"$model": {"$model": ["testapp.Item", "default", 1]}}, "refers to no row"),
            ({"$model": ["testapp.Item", "default"]}, "refers to no row"),
            ({"$model": [["testapp.Item"], "default", 1]}, "refers to no row"),
            ({"$model": ["no.Such", "default", 1]}, "the model 'no.Such', which is not installed"),
            ({"$model": ["testapp.Item", "third", 1]}, "which DATABASES does not have here"),
            ({"$model": ["testapp.Item", "default", "abc"]}, "has the primary key 'abc'"),
            ({"$model": ["testapp.Item", "default", None]}, "has the primary key None"),
            ({"$model": ["testapp.Item", "default", [1, 2]]}, "has the primary key"),
            ({"$model": ["testapp.Item", "default", {"a": 1}]}, "has the primary key"),
            ({"$model": ["testapp.Item", "default", {"$decimal": "a"}]}, "has the primary key"),
            ({"$model": ["testapp.UuidItem", "default", "abc"]}, "has the primary key 'abc'"),
            ({"$model": ["testapp.CompositeItem", "default", 5]}, "has the primary key 5"),
            ({"$model": ["testapp.CompositeItem", "default", ["a"]]}, "has the primary key"),
            ({"$frozenset": [[1]]}, "cannot be read"),
            ({"$frozenset": "abc"}, "where a list has to be"),
            ({"$set": {"a": 1}}, "where a list has to be"),
            ({"$tuple": 5}, "where a list has to be"),
            ({"$dict": [5]}, "is no entry of a dictionary"),
            ({"$dict": [[[], 5]]}, "cannot be read"),
            ({"$dict": 5}, "where a list has to be"),
            ({"$decimal": "one"}, "cannot be read"),
            ({"$decimal": 1.5}, "cannot be read"),
            ({"$decimal": "1E+1000000"}, "exponent beyond 999999"),
            ({"$decimal": "1E+99999999999999999999"}, "cannot be read"),
            ({"$timedelta": [10**12, 0, 0]}, "cannot be read"),
            ({"$timedelta": [1.5, 0, 0]}, "cannot be read"),
            ({"$timedelta": [1]}, "cannot be read"),
            ({"$bytes": "a"}, "cannot be read"),
            ({"$bytes": "ü==="}, "cannot be read"),
            ({"$bytes": [1]}, "cannot be read"),
            ({"$uuid": "a"}, "cannot be read"),
            ({"$uuid": 5}, "cannot be read"),
            ({"$float": "1"}, "cannot be read"),
            ({"$float": ["nan"]}, "cannot be read"),
            ({"$date": "2026-13-01"}, "cannot be read"),
            ({"$date": 5}, "cannot be read"),
            ({"$datetime": ["2026-01-01", 0, "No/Where"]}, "cannot be read"),
            ({"$datetime": ["2026-01-01", 0, "../../etc/passwd"]}, "is no time zone"),
            ({"$datetime": ["2026-01-01", 0, "/etc/passwd"]}, "is no time zone"),
            ({"$datetime": ["2026-01-01", 0, "America"]}, "cannot be read"),
            ({"$datetime": ["2026-01-01", 0, "tzdata.zi"]}, "is no time zone"),
            ({"$datetime": ["2026-01-01", 0, "A" * 9999]}, "cannot be read"),
            ({"$datetime": ["2026-01-01", 2, None]}, "cannot be read"),
            ({"$datetime": ["2026-01-01", True, None]}, "cannot be read"),
            ({"$datetime": []}, "cannot be read"),
            ({"$time": "25:00"}, "cannot be read"),
            ({"$class": "no.Such"}, "which is not installed here"),
            ({"$class": {}}, "which is not installed here"),
            ({"$app": "no"}, "cannot be read"),
            ({"$app": {}}, "cannot be read"),
            (2**2000, "more than 2000 bits"),
            ({"$snapshot": []}, "which is no row"),
            ({"$snapshot": ["testapp.Item", "default", []]}, "which is no row"),
            ({"$snapshot": ["no.Such", "default", {}]}, "which is not installed here"),
            ({"$snapshot": ["testapp.Item", "third", {}]}, "which DATABASES does not have here"),
            ({"$snapshot": ["testapp.Item", ["other"], {}]}, "which DATABASES does not have here"),
            ({"$snapshot": ["testapp.Item", "default", {}]}, "without its primary key"),
            ({"$snapshot": ["testapp.Item", "default", {"id": {"$no": 1}}]}, "the unknown tag"),
            (
                {"$snapshot": ["testapp.Item", "default", {"id": {"$field": "x"}}]},
                "value[0].id holds 'x', which the field cannot read",
            ),
            (
                {"$snapshot": ["testapp.Item", "default", {"no": {"$field": "x"}}]},
                "is no value of the field 'no'",
            ),
            (
                {"$snapshot": ["testapp.Item", "default", {
                    "$model": ["testapp.Item", "default", 1]
                }]},
                "without its primary key",
            ),
            (
                {"$snapshot": ["testapp.Item", "default", {
                    "$model": [[{"$model": ["testapp.Item", "default", 1]}], "default", 1]
                }]},
                "refers to no row",
            ),
        ],
        ids=lambda each: str(each)[:60],
    )  # fmt: skip
    def test_refuses_values_that_no_sender_wrote(self, value: Any, words: str) -> None:
        """The text says in which argument, and what is wrong."""
        Item.objects.create(pk=1, name="a")

        with pytest.raises(PayloadError) as raised:
            arrive(forged([value]))

        assert words in str(raised.value)
        assert raised.value.argument.startswith("value")
        assert len(str(raised.value)) < 600

    def test_refuses_a_float_that_is_none(self) -> None:
        """Python reads 1e999 as infinity."""
        with pytest.raises(PayloadError, match="value is a number that no float can hold"):
            arrive('["a",null,{"value":1e999}]')

    @pytest.mark.parametrize("inner", ["[%s]", '{"a":%s}', '{"$tuple":[%s]}', '{"$dict":{"a":%s}}'])
    def test_refuses_depth_that_no_sender_wrote(self, inner: str) -> None:
        """JSON is read to a greater depth than Python functions can follow."""
        value = "1"
        for _ in range(101):
            value = inner % value

        with pytest.raises(PayloadError, match="more than 100 levels deep"):
            arrive(f'["a",null,{{"value":{value}}}]')

    def test_refuses_a_key_that_no_row_can_have(self) -> None:
        """Where only the database knows."""
        text = forged({"$model": ["testapp.Item", "default", 2**100]})

        with pytest.raises((PayloadError, Item.DoesNotExist)):
            arrive(text)

    def test_restores_the_lineage(self) -> None:
        """The guard goes on in the worker where it was when the signal was sent."""
        text = payloads.compose("shop.r", [written('["a",null,{}]')], WRITTEN_CHAIN)

        assert payloads.decode("shop.r", text).chain == CHAIN


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("testapp.Item")
    | st.just("default"),
    lambda values: st.lists(values, max_size=4)
    | st.dictionaries(st.text(), values, max_size=3)
    | st.dictionaries(
        st.sampled_from([
            "$model", "$snapshot", "$class", "$app", "$set", "$frozenset", "$tuple", "$dict",
            "$type", "$datetime", "$date", "$time", "$timedelta", "$decimal", "$uuid", "$bytes",
            "$float", "$field", "$apps",
        ]),
        values,
        min_size=1,
        max_size=1,
    )
    | st.tuples(st.just("testapp.Item"), st.just("default"), values).map(
        lambda reference: {"$model": list(reference)}
    )
    | st.dictionaries(st.sampled_from(["id", "name", "data", "file", "parent_id"]), values).map(
        lambda columns: {"$snapshot": ["testapp.Item", "default", columns]}
    ),
    max_leaves=12,
)  # fmt: skip


class TestForgedPayloads:
    @hypothesis_settings(deadline=None)
    @given(value=json_values)
    def test_are_read_or_refused(self, value: Any) -> None:
        """Whatever stands in an argument, no other error comes out of it."""
        with contextlib.suppress(PayloadError):
            arrive(forged(value), on_missing="none")

    @hypothesis_settings(deadline=None)
    @given(data=json_values, key=st.sampled_from(["v", "receiver", "events", "lineage"]))
    def test_are_read_or_refused_as_a_whole(self, data: Any, key: str) -> None:
        """The same for what is around the arguments."""
        with pytest.raises(PayloadError):
            payloads.decode("shop.r", whole(**{key: [data, key]}))

    @hypothesis_settings(deadline=None)
    @given(
        text=st.sampled_from([
            VERSION_1, VERSION_1_CUSTOM, whole(),
            payloads.compose("shop.r", [forged({"$datetime": ["2026-01-01", 0, "UTC"]})]),
            payloads.compose("shop.r", [forged({"$decimal": "1.50"})], WRITTEN_CHAIN),
        ]),
        cuts=st.lists(
            st.tuples(st.integers(0, 400), st.integers(0, 3), st.text(max_size=3)),
            min_size=1,
            max_size=3,
        ),
    )  # fmt: skip
    def test_that_were_damaged_are_read_or_refused(
        self, text: str, cuts: list[tuple[int, int, str]]
    ) -> None:
        """Bytes lost, changed or added anywhere in a payload."""
        for place, length, put in cuts:
            text = text[:place] + put + text[place + length :]

        with contextlib.suppress(PayloadError):
            payloads.load(payloads.decode("shop.r", text), "none")


paid = Signal()
post_delete_of_ours = Signal()
post_save_copy = post_save
signals = types.ModuleType("signals")
signals.refunded = Signal()  # type: ignore[attr-defined]


def handle(**kwargs: Any) -> None: ...


@functools.wraps(handle)
def wrapped(**kwargs: Any) -> None: ...


class Handler:
    def __call__(self, **kwargs: Any) -> None: ...


class TestSignalLabels:
    def test_are_djangos_names_or_the_modules(self) -> None:
        """paid, signals.refunded; a place for a signal that has no name."""
        nameless = Signal()
        known = (paid, signals.refunded, nameless, post_save, post_delete)

        labels = payloads.signal_labels(handle, known)

        assert list(labels.values()) == [
            "paid",
            "signals.refunded",
            "2",
            "post_save",
            "post_delete",
        ]
        assert [payloads.signal_of("shop.r", labels, label) for label in labels.values()] == [
            *known
        ]

    def test_keep_their_meaning_when_the_list_changes(self) -> None:
        """Messages in flight were written by the list of before."""
        before = payloads.signal_labels(handle, [paid, signals.refunded])
        after = payloads.signal_labels(handle, [signals.refunded, paid])

        assert payloads.signal_of("shop.r", after, before[paid]) is paid

    @pytest.mark.parametrize("function", [handle, functools.partial(handle), Handler(), wrapped])
    def test_are_found_for_any_callable(self, function: Any) -> None:
        """In the module whose code it runs."""
        assert payloads.signal_labels(function, [paid])[paid] == "paid"

    @pytest.mark.parametrize("function", [print, functools.partial(print)])
    def test_are_places_for_a_function_without_a_module(self, function: Any) -> None:
        """A builtin knows no names."""
        assert payloads.signal_labels(function, [paid])[paid] == "0"

    def test_never_are_names_of_djangos(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A module may call its own signal post_save."""
        own = Signal()
        monkeypatch.setitem(globals(), "pre_save", own)

        assert payloads.signal_labels(handle, [own])[own] == "0"

    def test_are_read_by_their_places_too(self) -> None:
        """As version 1 wrote them."""
        labels = payloads.signal_labels(handle, [post_save, paid])

        assert payloads.signal_of("shop.r", labels, "1") is paid

    @pytest.mark.parametrize("label", ["pre_save", "7", "-1", "", "os.path"])
    def test_that_the_receiver_does_not_know_are_refused(self, label: str) -> None:
        """A receiver that is not connected to the signal any more says so."""
        labels = payloads.signal_labels(handle, [post_save])

        with pytest.raises(PayloadError, match="is not one this receiver is connected to"):
            payloads.signal_of("shop.r", labels, label)
