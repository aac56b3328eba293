"""Values as JSON and back: what travels, how it arrives, and what is refused by name."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import math
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.utils import translation
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from hypothesis import given, settings
from hypothesis import strategies as st

from signals_plus.exceptions import PayloadError
from tests.payloads.travel import encode, there_and_back
from tests.testapp.models import AbstractItem, Item, ItemProxy, Tag, UuidItem

pytestmark = pytest.mark.django_db(databases=["default", "other"])

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
# Whole seconds: some releases of Python read a smaller offset of a time as none.
zones = st.sampled_from([BERLIN, zoneinfo.ZoneInfo("UTC"), UTC]) | st.integers(-86399, 86399).map(
    lambda seconds: timezone(timedelta(seconds=seconds))
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**1999), 2**1999)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.timedeltas()
    | st.datetimes(timezones=st.none() | zones)
    | st.times(timezones=st.none() | zones)
)


def containers(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    tags = st.sampled_from(["$model", "$dict", "$tuple", "$no"])
    return (
        st.lists(values)
        | st.lists(values).map(tuple)
        | st.dictionaries(st.text() | tags, values, max_size=3)
        | st.dictionaries(scalars, values, max_size=3)
        | st.sets(scalars)
        | st.frozensets(scalars)
        | st.frozensets(st.lists(scalars).map(tuple))
    )


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            map(same, sum(one.items(), ()), sum(other.items(), ()))
        )
    if isinstance(one, set | frozenset):
        kinds = [sorted(map(repr, each)) for each in (one, other)]
        return one == other and kinds[0] == kinds[1]
    if isinstance(one, datetime | time):
        return repr(one) == repr(other)
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and one == other
    return bool(one == other)


class Colour(enum.IntEnum):
    RED = 1


class Shade(models.TextChoices):
    DARK = "dark"


@dataclasses.dataclass
class Line:
    price: Any


class Pair(collections.namedtuple("Pair", ["left", "right"])):
    pass


class Labelled(str):
    """A text that holds more than its letters."""

    label: str


class Summer(tzinfo):
    """A time zone without a key."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=2)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def tzname(self, moment: datetime | None) -> str:
        return "summer"


class TestWhatComesBack:
    @settings(deadline=None)
    @given(value=st.recursive(scalars, containers, max_leaves=15))
    def test_equal_and_of_the_same_type(self, value: Any) -> None:
        """To any depth, dictionaries that look like tags of the format included."""
        assert same(there_and_back(value), value)

    @pytest.mark.parametrize(
        "value",
        [
            float("inf"),
            float("-inf"),
            -0.0,
            5e-324,
            1.7976931348623157e308,
            Decimal("1.50"),
            Decimal("-0"),
            Decimal("Infinity"),
            Decimal("1E+999999"),
            2**64,
            -(2**63) - 1,
            "\x00",
            "\U0001f600",
            "\u2028",
            "x" * 100_000,
            bytearray(b"\x00\xff"),
            datetime(2026, 10, 25, 2, 30, fold=1),
            datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
            datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=UTC),
            datetime(1880, 1, 1, tzinfo=BERLIN),
            datetime.min,
            datetime.max.replace(tzinfo=UTC),
            time(2, 30, tzinfo=BERLIN),
            timedelta.max,
            timedelta.min,
            (),
            set(),
            frozenset({frozenset({1})}),
            {None: 1, 1: 2, (1, "a"): 3},
            {"$model": ["testapp.Item", "default", 1]},
            {"$dict": {"$model": 1}},
            Item,
            ItemProxy,
            Item.tags.through,
        ],
        ids=lambda value: type(value).__name__,
    )  # fmt: skip
    def test_at_the_edges(self, value: Any) -> None:
        """Values of which one would think that they do not."""
        assert same(there_and_back(value), value)

    @pytest.mark.parametrize("text", ["NaN", "sNaN", "-NaN", "NaN123"])
    def test_decimals_that_are_no_numbers(self, text: str) -> None:
        """They are equal to nothing, but keep their text."""
        assert str(there_and_back(Decimal(text))) == text

    def test_nan(self) -> None:
        """A payload stays JSON that everybody can read."""
        assert math.isnan(there_and_back(float("nan")))
        assert "NaN" not in encode(value=float("nan"))

    def test_app_configs(self) -> None:
        """By label: pre_migrate sends one."""
        config = apps.get_app_config("testapp")

        assert there_and_back(config) is config

    def test_saved_rows_anywhere(self) -> None:
        """Each from its own database."""
        item = Item.objects.create(name="a")
        tag = Tag.objects.using("other").create(name="b")
        value = {"rows": [item, (tag,)], item: {"tag": tag}, "set": {item}}

        back = there_and_back(value)

        assert back == value
        assert back["rows"][1][0]._state.db == "other"


class TestDepth:
    @pytest.mark.parametrize("key", ["a", 1, (1,)], ids=repr)
    def test_that_can_be_sent_can_be_read(self, key: Any) -> None:
        """Dictionaries with any keys are as deep as others."""
        value: Any = 1
        for _ in range(90):
            value = {key: value}

        assert there_and_back(value) == value


class TestWhatArrivesAsSomethingElse:
    """What docs/reference/payloads.md says about each."""

    def test_lazy_text(self) -> None:
        """As text in the language that was active when the signal was sent."""
        with translation.override("de"):
            event = encode(value=gettext_lazy("Yes"))

        assert '"Ja"' in event.text

    @pytest.mark.parametrize(
        ("value", "arrives"),
        [
            (memoryview(b"ab"), b"ab"),
            (memoryview(b"abcd")[::2], b"ac"),
            (SafeString("<b>"), "<b>"),
            (type("Stamp", (datetime,), {})(2026, 1, 1), datetime(2026, 1, 1)),
            (
                datetime(2026, 1, 1, tzinfo=Summer()),
                datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            ),
            (
                datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2), "summer")),
                datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            ),
        ],
    )
    def test_as_the_plain_type(self, value: Any, arrives: Any) -> None:
        """Equal, but without what the worker may not know."""
        assert same(there_and_back(value), arrives)

    def test_lazy_rows(self) -> None:
        """request.user is one."""
        item = Item.objects.create(name="a")

        back = there_and_back(SimpleLazyObject(lambda: item))

        assert type(back) is Item
        assert back == item


class TestRefusal:
    @pytest.mark.parametrize(
        ("value", "where", "words"),
        [
            (object(), "value", "(builtins.object), which cannot travel to a worker"),
            ([{"a": [object()]}], "value[0].a[0]", "(builtins.object)"),
            ({"a b": (1, object())}, "value['a b'][1]", "(builtins.object)"),
            ({5: object()}, "value[5]", "(builtins.object)"),
            ({Colour.RED: 1}, "value[<Colour.RED: 1>]", "Colour"),
            ({object()}, "value", "(builtins.object)"),
            (collections.OrderedDict(), "value", "Send dict(value)"),
            (collections.Counter("a"), "value", "Send dict(value)"),
            (type("Rows", (list,), {})(), "value", "Send list(value)"),
            (object, "value", "(builtins.type)"),
            (AbstractItem, "value", "(django.db.models.base.ModelBase)"),
            (encode, "value", "(builtins.function)"),
            (json, "value", "(builtins.module)"),
            (ValueError("a"), "value", "(builtins.ValueError)"),
            (1j, "value", "(builtins.complex)"),
            (range(3), "value", "(builtins.range)"),
            (2**2000, "value", "more than 2000 bits. Send it as text or bytes"),
            (-(2**2000), "value", "more than 2000 bits"),
            (10 ** (sys.get_int_max_str_digits() + 1), "value", "is a value (builtins.int)"),
            (
                Decimal("1E+1000000"),
                "value",
                "is Decimal('1E+1000000'): a Decimal with an exponent",
            ),
            (Decimal("1E+1000000"), "value", "Send it as text"),
            ("\ud800", "value", "a lone surrogate"),
            ({"\ud800": 1}, "value['\\ud800']", "a lone surrogate"),
            (Colour.RED, "value", '@payload_type("tests.Colour") above it'),
            (Shade.DARK, "value", '@payload_type("tests.Shade") above it'),
            (Line(5), "value", '@payload_type("tests.Line") above it'),
            (Pair(1, 2), "value", '@payload_type("tests.Pair") above it'),
        ],
        ids=lambda each: type(each).__name__,
    )
    def test_names_the_place_the_value_and_the_remedy(
        self, value: Any, where: str, words: str
    ) -> None:
        """Before the commit, when it can still be mended."""
        with pytest.raises(PayloadError) as raised:
            encode(value=value)

        assert raised.value.receiver == "shop.r"
        assert raised.value.argument == where
        assert words in str(raised.value)

    def test_of_a_queryset_asks_the_database_nothing(
        self, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
    ) -> None:
        """Its representation would."""
        with (
            django_assert_num_queries(0),
            pytest.raises(
                PayloadError, match=r"is a QuerySet of testapp.Item .* Send list\(value\)"
            ),
        ):
            encode(value=[Item.objects.all()])

    def test_of_a_text_that_would_lose_what_it_holds(self) -> None:
        """A subclass travels as the plain type only if that is all of it."""
        value = Labelled("a")
        value.label = "b"

        with pytest.raises(PayloadError, match=r"Labelled\), which cannot travel"):
            encode(value=value)

    @pytest.mark.parametrize("make", [list, dict])
    def test_of_what_contains_itself(self, make: Any) -> None:
        """No RecursionError out of save(), but the receiver and the argument by name."""
        value = make()
        inner = [value]
        value.append(inner) if make is list else value.update(a=inner)

        with pytest.raises(PayloadError, match=r"more than 100 levels deep. It may contain itself"):
            encode(value=value)

    def test_at_the_end_of_the_stack(self) -> None:
        """The same, where Python has no room for 100 levels."""
        value: list[Any] = []
        for _ in range(90):
            value = [value]
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(len(__import__("inspect").stack()) + 60)
        try:
            with pytest.raises(PayloadError, match=r"'shop.r': value is nested"):
                encode(value=value)
        finally:
            sys.setrecursionlimit(limit)

    @pytest.mark.parametrize("instance", [Item(name="a"), UuidItem(id=uuid.uuid4(), name="a")])
    def test_of_rows_that_are_not_saved(self, instance: models.Model) -> None:
        """Also one that has a primary key already, from a default."""
        with pytest.raises(
            PayloadError, match=r"instance is .* which is not saved\. Save it first"
        ):
            encode(instance=instance)

    def test_of_depth_ends_at_a_hundred(self) -> None:
        """What is allowed arrives: both sides count alike."""
        value: list[Any] = []
        for _ in range(99):
            value = [value]

        assert there_and_back(value) == value
        with pytest.raises(PayloadError, match="levels deep"):
            encode(value=[value])


def test_dates_are_no_datetimes() -> None:
    """A datetime is a date to Python, and not to a worker."""
    assert type(there_and_back(date(2026, 1, 1))) is date
