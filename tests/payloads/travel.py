"""A way there and back, as the sender and the worker go it."""

from __future__ import annotations

import json
from typing import Any

from signals_plus import payloads
from signals_plus.payloads.shapes import Shape
from tests.testapp.models import Item

RECEIVER = "shop.r"


def encode(**kwargs: Any) -> payloads.Fragment:
    return payloads.encode_event(RECEIVER, signal="post_save", sender=Item, kwargs=kwargs)


def arrive(*events: payloads.Fragment | str, on_missing: str = "raise") -> list[payloads.EventData]:
    fragments = [written(each) if isinstance(each, str) else each for each in events]
    message = payloads.decode(RECEIVER, payloads.compose(RECEIVER, fragments))
    return payloads.load(message, on_missing)


def there_and_back(value: Any, *, on_missing: str = "raise") -> Any:
    (event,) = arrive(encode(value=value), on_missing=on_missing)
    return event.kwargs["value"]


def forged(value: Any) -> payloads.Fragment:
    """Return an event with an argument that nothing but JSON has seen."""
    return written(json.dumps(["post_save", None, {"value": value}]))


def written(text: str) -> payloads.Fragment:
    """Return an event that is this text."""
    return payloads.Fragment(Shape(text, ""), None)
