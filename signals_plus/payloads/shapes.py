"""What many events have in common, written once.

The events of an import differ in the key of their row alone. Such an event is kept as its key and
a shape that it shares with the others; and in a payload, those in a row are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple


class Shape(NamedTuple):
    """The text of an event before and after the key of its row."""

    head: str
    tail: str


class Fragment(NamedTuple):
    """One event as JSON text."""

    shape: Shape
    key: str | None  # None: all of the text is in the shape

    @property
    def text(self) -> str:
        head, tail = self.shape
        return head if self.key is None else f'{head}{{"$model":{self.key}}}{tail}'


def joined(events: Iterable[Fragment]) -> str:
    """Return the text of all, with those in a row that differ in the key alone written as one."""
    texts: list[str] = []
    for shape, run in groupby(events, key=itemgetter(0)):
        together = list(run)
        keys = [event.key for event in together if event.key is not None]
        if len(keys) > 1:
            texts.append(f'{shape.head}{{"$models":[{",".join(keys)}]}}{shape.tail}')
        else:
            texts.extend(event.text for event in together)
    return ",".join(texts)


class KnownShapes:
    """The shapes in use, found by what an event has beside its instance.

    By the identity of its arguments, which is the fastest way to see that nothing differs: they
    are constants and names of databases. What is remembered is held, so that no id is given away.
    """

    def __init__(self) -> None:
        self._shapes: dict[Any, tuple[Shape, Mapping[str, Any]]] = {}

    def get(self, about: Any, kwargs: Mapping[str, Any]) -> Shape | None:
        """Return the shape of an event that has the very same arguments; ``about``: what else."""
        known = self._shapes.get(_identity(about, kwargs))
        return None if known is None else known[0]

    def add(self, about: Any, kwargs: Mapping[str, Any], shape: Shape) -> None:
        """Remember a shape, if nothing in it can change."""
        held = {name: value for name, value in kwargs.items() if name != "instance"}
        if all(map(_is_constant, held.values())):
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            self._shapes[_identity(about, kwargs)] = shape, held


MAX_SHAPES = 1000
MAX_TEXT = 100


def _identity(about: Any, kwargs: Mapping[str, Any]) -> Any:
    instance = kwargs["instance"]
    ids = [id(value) for value in kwargs.values() if value is not instance]
    return about, tuple(kwargs), tuple(ids)


def _is_constant(value: Any) -> bool:
    is_singleton = value is None or value is True or value is False
    return is_singleton or (type(value) is str and len(value) <= MAX_TEXT)
