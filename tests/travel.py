"""A way there and back, as the sender and the worker go it."""

from __future__ import annotations

import json
from typing import Any

from signals_plus import payloads
from tests.testapp.models import Item

RECEIVER = "shop.r"


def encode(**kwargs: Any) -> str:
    return payloads.encode_event(RECEIVER, signal="post_save", sender=Item, kwargs=kwargs)


def arrive(*events: str, on_missing: str = "raise") -> list[payloads.LoadedEvent]:
    message = payloads.decode(RECEIVER, payloads.compose(RECEIVER, events, ()))
    return payloads.load(message, on_missing)


def there_and_back(value: Any, *, on_missing: str = "raise") -> Any:
    (event,) = arrive(encode(value=value), on_missing=on_missing)
    return event.kwargs["value"]


def forged(value: Any) -> str:
    """Return an event with an argument that nothing but JSON has seen."""
    return json.dumps(["post_save", None, {"value": value}])
