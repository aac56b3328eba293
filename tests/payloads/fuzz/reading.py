"""What a worker does with a text from the queue: read it, or refuse it."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from typing import Any

from signals_plus import payload_type, payloads
from signals_plus.exceptions import PayloadError

RECEIVER = "shop.r"


@payload_type("fuzz.Money")
@dataclasses.dataclass
class Money:
    amount: Any
    currency: str = "EUR"


@payload_type("fuzz.Status")
class Status(enum.StrEnum):
    PAID = "paid"


def read(text: str) -> None:
    """Let any error through but the one that a worker is promised."""
    with contextlib.suppress(PayloadError):
        payloads.load(payloads.decode(RECEIVER, text, (None, Money)), "none")
