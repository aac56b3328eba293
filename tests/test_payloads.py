"""Events as JSON and back: what travels, what is refused, and what a forged payload cannot do."""

from __future__ import annotations

import enum
import json
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models.signals import post_save
from django.dispatch import Signal
from hypothesis import given
from hypothesis import strategies as st

from signals_plus import payloads
from signals_plus.exceptions import PayloadError
from signals_plus.lineage import Link, Row
from tests.testapp.models import (
    CompositeItem,
    HiddenItem,
    Item,
    ItemProxy,
    SpecialItem,
    UuidItem,
)

pytestmark = pytest.mark.django_db(databases=["default", "other"])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.frozensets(st.text()),
    lambda values: st.lists(values) | st.dictionaries(st.text() | st.just("$model"), values),
    max_leaves=20,
)  # fmt: skip


class Colour(enum.IntEnum):
    RED = 1


class Shade(models.TextChoices):
    DARK = "dark"


def encode(**kwargs: Any) -> str:
    return payloads.encode("shop.r", signal="post_save", sender=Item, kwargs=kwargs, chain=())


def load(text: str, on_missing: Callable[[ObjectDoesNotExist], Any] | None = None) -> Any:
    def refuse(error: ObjectDoesNotExist) -> None:
        raise error

    return payloads.load(payloads.decode("shop.r", text), on_missing or refuse)


def there_and_back(value: Any) -> Any:
    return load(encode(value=value))["value"]


class TestEncode:
    @given(value=json_values)
    def test_carries_what_json_has_words_for(self, value: Any) -> None:
        """Also dictionaries that look like the format's own tags, and frozensets of strings."""
        back = there_and_back(value)

        assert back == value
        assert type(back) is type(value)

    def test_is_plain_json_of_a_known_version(self) -> None:
        """The format, for whoever reads a queue."""
        item = Item.objects.create(name="a")

        written = payloads.encode(
            "shop.r",
            signal="post_save",
            sender=Item,
            kwargs={"instance": item, "update_fields": frozenset({"b", "a"})},
            chain=(Link("shop.r", Row("testapp.Item pk=1 (default)")), Link("shop.s", None)),
        )

        assert json.loads(written) == {
            "v": 1,
            "receiver": "shop.r",
            "signal": "post_save",
            "sender": "testapp.Item",
            "kwargs": {
                "instance": {"$model": ["testapp.Item", "default", item.pk]},
                "update_fields": {"$frozenset": ["a", "b"]},
            },
            "lineage": [["shop.r", "testapp.Item pk=1 (default)"], ["shop.s", None]],
        }

    @pytest.mark.parametrize(
        ("value", "where", "kind"),
        [
            (object(), "value", "builtins.object"),
            ({1, 2}, "value", "builtins.set"),
            ((1, 2), "value", "builtins.tuple"),
            (frozenset({1}), "value", "builtins.frozenset"),
            ({1: "a"}, "value", "builtins.dict"),
            (b"a", "value", "builtins.bytes"),
            (float("nan"), "value", "builtins.float"),
            (float("inf"), "value", "builtins.float"),
            (Decimal(1), "value", "decimal.Decimal"),
            (datetime(2026, 1, 1, tzinfo=UTC), "value", "datetime.datetime"),
            (uuid.UUID(int=1), "value", "uuid.UUID"),
            (Colour.RED, "value", "tests.test_payloads.Colour"),
            ([{"a": [Decimal(1)]}], "value[0]['a'][0]", "decimal.Decimal"),
        ],
        ids=lambda each: type(each).__name__,
    )
    def test_refuses_what_cannot_travel_yet(self, value: Any, where: str, kind: str) -> None:
        """The text names the receiver, the place in the arguments and the type."""
        with pytest.raises(PayloadError) as raised:
            encode(value=value)

        assert raised.value.receiver == "shop.r"
        assert raised.value.argument == where
        assert f"({kind})" in str(raised.value)
        assert "use receiver_on_commit" in str(raised.value)

    def test_refuses_what_contains_itself(self) -> None:
        """No RecursionError out of save(), but the receiver and the argument by name."""
        value: list[Any] = []
        value.append(value)

        with pytest.raises(PayloadError, match=r"'shop.r': value is nested too deeply"):
            encode(value=value)

    def test_refuses_numbers_that_no_json_reader_takes(self) -> None:
        """Python itself refuses to write an integer of that many digits."""
        value = 10 ** (sys.get_int_max_str_digits() + 1)

        with pytest.raises(PayloadError, match=r"'shop.r': value is a value \(builtins.int\)"):
            encode(value=value)

    @pytest.mark.parametrize("instance", [Item(name="a"), UuidItem(name="a")])
    def test_refuses_rows_that_are_not_saved(self, instance: models.Model) -> None:
        """Also one that has a primary key already, from a default."""
        with pytest.raises(
            PayloadError, match=r"instance is .* which is not saved\. Save it first"
        ):
            encode(instance=instance)

    @pytest.mark.parametrize("sender", ["a string", 5, object])
    def test_refuses_senders_that_are_no_models(self, sender: object) -> None:
        """A worker could not name them."""
        with pytest.raises(PayloadError, match="only models and None can travel as sender"):
            payloads.encode("shop.r", signal="0", sender=sender, kwargs={}, chain=())


class TestLoad:
    @pytest.mark.parametrize("alias", ["default", "other"])
    @pytest.mark.parametrize(
        "make",
        [
            lambda: Item(name="a"),
            lambda: SpecialItem(name="a", extra="b"),
            lambda: ItemProxy(name="a"),
            lambda: UuidItem(name="a"),
            lambda: CompositeItem(shop="a", number=5),
            lambda: HiddenItem(hidden=True),
        ],
        ids=["plain", "mti", "proxy", "uuid", "composite", "hidden by its default manager"],
    )
    def test_finds_the_row_on_its_own_database(
        self, make: Callable[[], models.Model], alias: str
    ) -> None:
        """Whatever its key, its inheritance and its managers."""
        row = make()
        row.save(using=alias)

        back = there_and_back(row)

        assert type(back) is type(row)
        assert (back, back.pk, back._state.db) == (row, row.pk, alias)

    def test_finds_a_row_whose_key_is_a_choice(self) -> None:
        """An Enum is a value of its field, and travels as that."""
        CompositeItem.objects.create(shop="dark", number=1)
        row = CompositeItem.objects.get()
        row.shop = Shade.DARK

        assert there_and_back(row).shop == "dark"

    def test_loads_rows_inside_other_values(self) -> None:
        """A custom signal may send a list of rows."""
        rows = [Item.objects.create(name=name) for name in "ab"]

        assert there_and_back({"rows": rows}) == {"rows": rows}

    def test_asks_what_stands_in_for_a_row_that_is_gone(self) -> None:
        """What on_missing returns is the argument; the error it gets says which model."""
        item = Item.objects.create(name="a")
        text = encode(instance=item, using="default")
        Item.objects.all().delete()
        errors: list[Exception] = []

        back = load(text, errors.append)

        assert back == {"instance": None, "using": "default"}
        assert isinstance(errors[0], Item.DoesNotExist)


def forged(**changes: Any) -> str:
    whole = {
        "v": 1, "receiver": "shop.r", "signal": "post_save", "sender": None, "kwargs": {},
        "lineage": [],
    }  # fmt: skip
    return json.dumps({**whole, **changes})


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
            (b"\xff", "is no payload"),
            ('{"v":1}', "is malformed"),
            (forged(kwargs=5), "is malformed"),
            (forged(kwargs=[["a", 1]]), "is malformed"),
            (forged(kwargs={"sender": 1}), "is malformed"),
            (forged(kwargs={"signal": 1}), "is malformed"),
            (forged(lineage=5), "is malformed"),
            (forged(lineage=["ab"]), "is malformed"),
            (forged(lineage=[[1, 2]]), "is malformed"),
            (forged(lineage=[["a", ["b"]]]), "is malformed"),
            (forged(receiver=None), "is for receiver None"),
            (forged(receiver="os.system"), "is for receiver 'os.system'"),
            (forged(v=0), "has version 0, and this release reads version 1"),
            (forged(v=2), "Upgrade the workers before the processes that send"),
            (forged(v=True), "has version True"),
            (forged(sender="no.Such"), "the model 'no.Such' is not installed here"),
            (forged(sender="os.path.join"), "the model 'os.path.join' is not installed here"),
            (forged(sender="Item"), "the model 'Item' is not installed here"),
            (forged(sender=5), "the model 5 is not installed here"),
            (forged(sender=["testapp.Item"]), "is not installed here"),
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
            ({"$call": "os.system"}, "holds the unknown or malformed tag '$call'"),
            ({"$model": "testapp.Item"}, "refers to no row"),
            ({"$model": ["testapp.Item", "default"]}, "refers to no row"),
            ({"$model": ["no.Such", "default", 1]}, "the model 'no.Such' is not installed here"),
            ({"$model": ["testapp.Item", "third", 1]}, "which DATABASES does not have here"),
            ({"$model": ["testapp.Item", ["other"], 1]}, "which DATABASES does not have here"),
            ({"$model": ["testapp.Item", "default", "abc"]}, "has the primary key 'abc'"),
            ({"$model": ["testapp.Item", "default", [1, 2]]}, "has the primary key"),
            ({"$model": ["testapp.Item", "default", {"a": 1}]}, "has the primary key"),
            ({"$model": ["testapp.UuidItem", "default", "abc"]}, "has the primary key 'abc'"),
            ({"$model": ["testapp.CompositeItem", "default", 5]}, "has the primary key 5"),
            ({"$frozenset": [[1]]}, "'$frozenset'"),
            ({"$frozenset": "abc"}, "'$frozenset'"),
            ({"$dict": []}, "'$dict'"),
        ],
    )
    def test_refuses_values_that_no_sender_wrote(self, value: Any, words: str) -> None:
        """Found where the value is looked at; the text says in which argument."""
        text = forged(kwargs={"a": [value]})

        with pytest.raises(PayloadError) as raised:
            load(text)

        assert words in str(raised.value)

    def test_refuses_depth_that_no_sender_wrote(self) -> None:
        """JSON is read to a greater depth than Python functions can follow."""
        depth = 900
        text = forged().replace(
            '"kwargs": {}', '"kwargs": {"a": ' + "[" * depth + "]" * depth + "}"
        )
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(len(__import__("inspect").stack()) + 400)
        try:
            with pytest.raises(PayloadError, match=r"nested too deeply|is no payload"):
                load(text)
        finally:
            sys.setrecursionlimit(limit)

    def test_restores_the_lineage(self) -> None:
        """The guard goes on in the worker where it was when the signal was sent."""
        chain = (Link("shop.r", Row("testapp.Item pk=1 (default)")), Link("shop.s", None))
        text = payloads.encode("shop.r", signal="post_save", sender=None, kwargs={}, chain=chain)

        assert payloads.decode("shop.r", text).chain == chain


class TestSignalLabel:
    def test_is_djangos_name_or_a_place_among_the_receivers_signals(self) -> None:
        """A custom signal has no name of its own."""
        custom = Signal()
        signals = (custom, post_save)

        labels = [payloads.signal_label(signals, signal) for signal in signals]

        assert labels == ["0", "post_save"]
        assert [payloads.signal_of("shop.r", signals, label) for label in labels] == [*signals]

    @pytest.mark.parametrize("label", ["pre_save", "7", None, 0, ["post_save"]])
    def test_that_the_receiver_does_not_know_is_refused(self, label: Any) -> None:
        """A receiver that is not connected to the signal any more says so."""
        with pytest.raises(PayloadError, match="is not one this receiver is connected to"):
            payloads.signal_of("shop.r", (post_save,), label)
