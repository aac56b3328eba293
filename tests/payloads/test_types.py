"""Types of the project's own: registered by name, and what is refused."""

from __future__ import annotations

import enum
import importlib
import sys
from collections import namedtuple
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.db import models

from signals_plus import payload_type
from signals_plus.exceptions import InvalidPayloadTypeError, PayloadError
from signals_plus.payloads import types
from tests.payloads.travel import arrive, encode, forged, there_and_back
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _registered_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has types of its own."""
    monkeypatch.setattr(types, "_by_name", {})
    monkeypatch.setattr(types, "_by_class", {})
    for name, cls in REGISTERED.items():
        payload_type(name)(cls)


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str = "EUR"


@dataclass(slots=True, kw_only=True)
class Basket:
    lines: list[Any]
    total: Decimal = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum((line.amount for line in self.lines), Decimal())


@dataclass
class Parcel:
    item: Any


class Status(models.TextChoices):
    PAID = "paid"


class Unit(enum.Enum):
    METRE = ("m", 1)


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Place(NamedTuple):
    shelf: int
    row: int


Old = namedtuple("Old", ["a"])

REGISTERED: dict[str, type] = {
    "shop.Money": Money,
    "shop.Basket": Basket,
    "shop.Parcel": Parcel,
    "shop.Status": Status,
    "shop.Unit": Unit,
    "shop.Rights": Rights,
    "shop.Place": Place,
    "shop.Old": Old,
}


class Angle:
    def __init__(self, degrees: int) -> None:
        self.degrees = degrees


class TestPayloadType:
    @pytest.mark.parametrize(
        "value",
        [
            Money(Decimal("1.50")),
            Basket(lines=[Money(Decimal(1)), Money(Decimal(2), "USD")]),
            Status.PAID,
            Unit.METRE,
            Rights.READ | Rights.WRITE,
            Place(1, 2),
            Old((1, 2)),
            [{Status.PAID: (Money(Decimal(1)),)}],
            {Status.PAID},
            Money,
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_lets_values_travel(self, value: Any) -> None:
        """Dataclasses and named tuples by their fields, Enums by value; the classes too."""
        back = there_and_back(value)

        assert back == value
        assert type(back) is type(value)

    def test_keeps_fields_that_the_constructor_does_not_take(self) -> None:
        """What they hold when sent is what arrives."""
        basket = Basket(lines=[])
        basket.total = Decimal(7)

        assert there_and_back(basket).total == Decimal(7)

    def test_lets_rows_travel_inside(self) -> None:
        """A field may hold a row, which is loaded like any other."""
        item = Item.objects.create(name="a")

        assert there_and_back(Parcel(item)).item == item

    def test_takes_two_functions(self) -> None:
        """For any other class."""
        payload_type("shop.Angle", encode=lambda a: [a.degrees], decode=lambda v: Angle(*v))(Angle)

        assert there_and_back(Angle(90)).degrees == 90

    def test_returns_the_class(self) -> None:
        """Untouched."""
        assert payload_type("shop.Angle", encode=str, decode=Angle)(Angle) is Angle
        assert set(vars(Angle)) == {
            "__module__", "__init__", "__dict__", "__weakref__", "__doc__",
        } | (set(vars(Angle)) & {"__static_attributes__", "__firstlineno__"})  # fmt: skip

    def test_names_the_place_inside(self) -> None:
        """By the names of the fields."""
        with pytest.raises(PayloadError) as raised:
            encode(order=Basket(lines=[Money(Decimal(1)), Money(Decimal(1), object())]))  # type: ignore[arg-type]

        assert raised.value.argument == "order.lines[1].currency"

    def test_does_not_speak_for_subclasses(self) -> None:
        """They may hold more."""

        @dataclass(frozen=True)
        class Price(Money):
            tax: int = 0

        with pytest.raises(PayloadError, match=r'@payload_type\("tests\..*Price"\) above'):
            encode(value=Price(Decimal(1)))

    def test_takes_the_default_of_a_field_that_is_new(self) -> None:
        """A message in flight was written before the field was added."""
        (event,) = arrive(forged({"$type": ["shop.Money", {"amount": {"$decimal": "1"}}]}))

        assert event.kwargs["value"] == Money(Decimal(1), "EUR")

    @pytest.mark.parametrize(
        "data",
        [
            ["shop.No", {}],
            [["shop.Money"], {}],
            ["shop.Money"],
            "shop.Money",
            ["shop.Money", {}],
            ["shop.Money", 5],
            ["shop.Money", {"amount": 1, "__class__": 1}],
            ["shop.Money", {"amount": 1, "other": 1}],
            ["shop.Status", "no"],
            ["shop.Status", [1]],
            ["shop.Place", [1]],
            ["shop.Place", 5],
        ],
        ids=str,
    )
    def test_trusts_no_payload(self, data: Any) -> None:
        """Only registered names, and only a class's own fields."""
        with pytest.raises(PayloadError):
            arrive(forged({"$type": data}))

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"amount": 1, "tax": 2}, "ValueError(\"Money has no field 'tax'\")"),
            ({}, "missing 1 required positional argument: 'amount'"),
        ],
    )
    def test_says_what_a_release_with_other_fields_wrote(
        self, values: dict[str, int], words: str
    ) -> None:
        """And what the class needs until those messages are gone."""
        with pytest.raises(PayloadError) as raised:
            arrive(forged({"$type": ["shop.Money", values]}))

        assert words in str(raised.value)
        assert "Let 'shop.Money' read what it wrote" in str(raised.value)

    @pytest.mark.parametrize("data", [["shop.No"], [], [["shop.Money"]], ["shop.Money", 1]])
    def test_trusts_no_payload_that_names_a_class(self, data: Any) -> None:
        """The same for classes themselves."""
        with pytest.raises(PayloadError):
            arrive(forged({"$class": data}))


class TestRefusal:
    def test_of_a_taken_name(self) -> None:
        """A payload could mean either."""
        with pytest.raises(InvalidPayloadTypeError, match=r"'shop.Money', the name of Money"):
            payload_type("shop.Money", encode=str, decode=Angle)(Angle)

    def test_of_a_second_name(self) -> None:
        """Half of the messages would have the other."""
        with pytest.raises(InvalidPayloadTypeError, match=r"as 'shop.Money' already"):
            payload_type("shop.Cash")(Money)

    def test_of_the_same_name_for_the_same_class_never(self) -> None:
        """Registering twice is registering."""
        payload_type("shop.Money")(Money)

        assert there_and_back(Money(Decimal(1))) == Money(Decimal(1))

    def test_of_a_class_that_needs_functions(self) -> None:
        """The text says how to write them."""
        with pytest.raises(InvalidPayloadTypeError) as raised:
            payload_type("shop.Angle")(Angle)

        assert "payload_type('shop.Angle', encode=..., decode=...)" in str(raised.value)

    def test_of_one_function_without_the_other(self) -> None:
        """What would it be for."""
        with pytest.raises(InvalidPayloadTypeError, match="Give both, or none"):
            payload_type("shop.Angle", encode=str)(Angle)

    def test_of_a_constructor_that_wants_more_than_fields(self) -> None:
        """The worker could not call it."""

        @dataclass
        class Secret:
            kept: int
            key: InitVar[str]

        with pytest.raises(InvalidPayloadTypeError, match="is made with 'key'"):
            payload_type("shop.Secret")(Secret)

    @pytest.mark.parametrize("name", ["", None, Money])
    def test_of_a_name_that_is_none(self, name: Any) -> None:
        """@payload_type without a name, for instance."""
        with pytest.raises(InvalidPayloadTypeError, match=r'@payload_type\("app.Class"\)'):
            payload_type(name)(Angle)

    def test_of_no_name_at_all(self) -> None:
        """Python would put a function in the place of the class."""
        with pytest.raises(InvalidPayloadTypeError, match=r"Angle'> is registered without a name"):
            payload_type(Angle)  # type: ignore[arg-type]

    @pytest.mark.parametrize("functions", [{"encode": "str", "decode": int}, {"decode": 5}])
    def test_of_functions_that_are_none(self, functions: Any) -> None:
        """Nothing else would say so before a message is sent."""
        with pytest.raises(InvalidPayloadTypeError, match=r"Angle has (encode='str'|decode=5)"):
            payload_type("shop.Angle", **functions)(Angle)

    @pytest.mark.parametrize("cls", [str, Decimal, list, dict, Item])
    def test_of_a_class_that_travels_already(self, cls: type) -> None:
        """Its functions would be called for some of its values at most."""
        with pytest.raises(InvalidPayloadTypeError, match=r"travels already. Leave it out"):
            payload_type("shop.Value", encode=str, decode=cls)(cls)


def test_a_module_may_be_imported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload registers the new class in the old one's place."""
    (tmp_path / "reloaded_types.py").write_text(
        "from dataclasses import dataclass\n"
        "from signals_plus import payload_type\n"
        '@payload_type("shop.Reloaded")\n'
        "@dataclass\n"
        "class Reloaded:\n"
        "    a: int\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("reloaded_types")
    old = module.Reloaded

    new = importlib.reload(module).Reloaded

    assert new is not old
    assert type(there_and_back(new(1))) is new
    del sys.modules["reloaded_types"]
