"""Change a payload without breaking it as JSON, where bytes alone would be refused at once."""

from __future__ import annotations

import json
import random
from typing import Any

TAGS = [
    "$model", "$snapshot", "$class", "$app", "$apps", "$set", "$frozenset", "$tuple", "$dict",
    "$type", "$datetime", "$date", "$time", "$timedelta", "$decimal", "$uuid", "$bytes",
    "$bytearray", "$float", "$field", "$sender", "$no",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, -1, 1, 2**31, 2**63, 2**64, 2**100, 10**1000, 0.5, -0.0, 1e308, "", "a", "\x00",
    "\ud800", "1", "NaN", "sNaN", "1E+999999", "1E+9999999", "testapp.Item", "testapp.UuidItem",
    "testapp.CompositeItem", "testapp.PointItem", "testapp.ItemOfEveryKind", "testapp.DayItem",
    "testapp.DecimalKeyItem", "auth.User", "default", "other", "id", "name", "data", "file",
    "point", "fuzz.Money", "fuzz.Status", "amount", "2026-01-01", "Europe/Berlin", "Europe",
    "UTC", [], {},
]  # fmt: skip


def mutated(text: str, seed: int) -> str:
    """Return the payload with one to three of its values changed."""
    rng = random.Random(seed)
    data = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        data = _change(data, rng)
    return json.dumps(data)


def _change(value: Any, rng: random.Random) -> Any:
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        return [*value[:place], *_changed_item(value[place], rng), *value[place + 1 :]]
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.2:
            return {rng.choice(TAGS) if k == key else k: item for k, item in value.items()}
        return {**value, key: _change(value[key], rng)}
    return _replacement(value, rng)


def _changed_item(item: Any, rng: random.Random) -> list[Any]:
    if rng.random() < 0.8:
        return [_change(item, rng)]
    return rng.choice([[], [item, item], [item, rng.choice(VALUES)]])


def _replacement(value: Any, rng: random.Random) -> Any:
    return rng.choice(
        [
            rng.choice(VALUES),
            rng.choice(VALUES),
            {rng.choice(TAGS): value},
            {rng.choice(TAGS): rng.choice(VALUES)},
            [value],
            {"$model": ["testapp.Item", "default", value]},
            {"$snapshot": ["testapp.Item", "default", {"id": value, "name": rng.choice(VALUES)}]},
            {"$type": ["fuzz.Money", {"amount": value}]},
        ]
    )
