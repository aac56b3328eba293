"""What the headers of a receiver's messages may be: what every broker carries.

RabbitMQ has a format of its own for them, and the others write JSON.
"""

from __future__ import annotations

import json
import math

from celery.app.task import Context

# Characters of JSON. RabbitMQ closes the connection if they do not fit into a frame, which has
# 128 KiB; what is written there has up to twice as many bytes.
MAX_TEXT = 32_000

# What RabbitMQ has room for: the bytes of a key, and a whole number.
MAX_KEY = 255
MAX_NUMBER = 2**63 - 1

# In headers Celery says what is to be run and how. A worker makes all of them attributes of the
# task's request: what has such a name takes the place of Celery's own. These are no attributes.
OWN = frozenset({"compression", "lang", "task"})

WANTED = (
    f"a dictionary that every broker carries: texts, numbers of up to 64 bits, True, False, None, "
    f"and lists and dictionaries of these; its keys are texts of at most {MAX_KEY} bytes, none of "
    f"them a header of Celery's own such as 'id' or 'task'; as JSON it has at most {MAX_TEXT} "
    "characters"
)


def are_good(value: object) -> bool:
    """Tell whether the headers of a message can be these."""
    try:
        if len(json.dumps(value)) > MAX_TEXT:
            return False
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and _is_carried(value) and not any(map(_is_own, value))


def _is_own(key: str) -> bool:
    return key in OWN or hasattr(Context, key)


def _is_carried(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_key, value)) and all(map(_is_carried, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_carried, value))
    if isinstance(value, float):
        return math.isfinite(value)
    # Anything else is a text, True, False or None: the others are not what JSON has.
    return not isinstance(value, int) or -MAX_NUMBER - 1 <= value <= MAX_NUMBER


def _is_key(key: object) -> bool:
    return isinstance(key, str) and len(key.encode(errors="surrogatepass")) <= MAX_KEY
