"""The lineage of events as JSON, and back.

A step is ``[receiver, row or null]``, or ``[receiver, null, [[receiver, row], ...]]`` where it
stands for the many rows of a batch.
"""

from __future__ import annotations

import json
from typing import Any

from ..lineage import Chain, Link, Others, Row

# So many rows of a batch travel with each event that it causes. For the rest, the limit of a
# chain's length is the guard.
MAX_ROWS = 1000


def encode(chain: Chain) -> str:
    """Return the chain as JSON text."""
    if not chain:
        return "[]"
    return json.dumps([_written(link) for link in chain], separators=(",", ":"))


def decode(data: Any) -> Chain:
    """Return the chain.

    Raises:
        TypeError, ValueError: No sender wrote this.
    """
    if not isinstance(data, list):
        raise ValueError("lineage")
    return tuple(_link(entry) for entry in data)


def _written(link: Link) -> list[Any]:
    row = link.row.key if link.row and not link.row.unsaved else None
    if link.others is None:
        return [link.receiver, row]
    return [link.receiver, row, sorted(link.others)[:MAX_ROWS]]


def _link(entry: Any) -> Link:
    if not isinstance(entry, list):
        raise ValueError("lineage")
    name, key, others = entry if len(entry) == 3 else (*entry, [])
    if not isinstance(name, str) or not isinstance(key, str | None) or not isinstance(others, list):
        raise ValueError("lineage")
    pairs = [_pair(pair) for pair in others]
    return Link(
        name, None if key is None else Row(key), others=Others("", (), pairs) if pairs else None
    )


def _pair(pair: Any) -> tuple[str, str]:
    receiver, row = pair
    if not isinstance(receiver, str) or not isinstance(row, str):
        raise ValueError("lineage")
    return receiver, row
