"""The lineage of an event as JSON, and back."""

from __future__ import annotations

import json
from typing import Any

from .lineage import Chain, Link, Row


def encode(chain: Chain) -> str:
    """Return the chain as JSON text: ``[[receiver, row or null], ...]``."""
    if not chain:
        return "[]"
    links = [
        [link.receiver, link.row.key if link.row and not link.row.unsaved else None]
        for link in chain
    ]
    return json.dumps(links, separators=(",", ":"))


def decode(data: Any) -> Chain:
    """Return the chain.

    Raises:
        TypeError, ValueError: No sender wrote this.
    """
    if not isinstance(data, list):
        raise ValueError("lineage")
    return tuple(_link(entry) for entry in data)


def _link(entry: Any) -> Link:
    name, key = entry
    if not isinstance(entry, list) or not isinstance(name, str) or not isinstance(key, str | None):
        raise ValueError("lineage")
    return Link(name, None if key is None else Row(key))
