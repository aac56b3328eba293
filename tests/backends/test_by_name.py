"""Paths of receivers, as a worker finds what runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils.module_loading import import_string
from rq.utils import import_attribute

from signals_plus.backends import base, by_name
from signals_plus.backends.base import Task
from signals_plus.backends.by_name import path_of
from signals_plus.backends.dummy import DummyBackend
from signals_plus.exceptions import UnknownReceiverError

MODULE = "signals_plus.backends.by_name"

ran: list[tuple[str, str]] = []


@pytest.fixture(autouse=True)
def _nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_tasks", {})
    ran.clear()


def register(*names: str) -> None:
    for name in names:
        task = Task(name, print, lambda payload, name=name: ran.append((name, payload)))  # type: ignore[misc]
        DummyBackend("default", {}).register(task)


def test_reads_as_the_name() -> None:
    """It stands in messages: it has to stay as it is."""
    path = path_of("shop.receivers.print_label")

    assert path == f"{MODULE}.receiver:shop:receivers:print_label"


@pytest.mark.parametrize("load", [import_string, import_attribute], ids=["Django", "RQ"])
@pytest.mark.parametrize(
    "name",
    [
        "shop.receivers.print_label",
        "a closure",
        "größe",
        "shop:label.",
        "x.<locals>.y",
        "annotations",  # what the module happens to have
        "path_of",
        "os.system",
        ".",
        "%2E",
    ],
)
def test_leads_to_the_receiver(name: str, load: Callable[[str], Any]) -> None:
    """Whatever the name is, and to nothing else of that name."""
    register(name)

    load(path_of(name))("1")

    assert ran == [(name, "1")]


def test_names_that_look_alike_have_two() -> None:
    names = ["a.b", "a:b", "a%3Ab", "a%2Eb", "a..b"]
    register(*names)

    for name in names:
        import_string(path_of(name))(name)

    assert ran == [(name, name) for name in names]


@pytest.mark.parametrize("load", [import_string, import_attribute], ids=["Django", "RQ"])
@pytest.mark.parametrize("name", ["os:system", "shop:receivers:gone"])
def test_what_is_not_registered_is_an_error_when_it_is_run(
    name: str, load: Callable[[str], Any]
) -> None:
    """Also what could be imported by that name."""
    found = load(f"{MODULE}.receiver:{name}")

    with pytest.raises(UnknownReceiverError) as caught:
        found("true")

    assert caught.value.name == name.replace(":", ".")


def test_other_attributes_are_missing_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match=f"module '{MODULE}' has no attribute 'nothing'"):
        _ = by_name.nothing
