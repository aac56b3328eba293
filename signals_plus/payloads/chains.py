"""The lineage of events as JSON, and back.

A step is ``[receiver, row or null]``. One that stands for the many rows of a batch is ``[receiver,
null, [[receiver, head, tail, [text, ...]], ...]]``, where a row is ``head + text + tail``: rows of
one model and database differ in their keys alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..lineage import Chain
from ..links import Link, Others, Row

# So many bytes of the rows of batches travel with each event that they cause, some thousands of
# rows. For the rest, the limit of a chain's length is the guard.
MAX_BYTES = 32 * 1024


def encode(chain: Chain) -> str:
    """Return the chain as JSON text."""
    if not chain:
        return "[]"
    bytes_left = MAX_BYTES
    written = []
    for link in reversed(chain):  # the nearest causes first
        row = link.row.key if link.row and not link.row.unsaved else None
        step: list[Any] = [link.receiver, row]
        if link.others is not None:
            groups, bytes_left = _grouped(sorted(link.others), bytes_left)
            step.append(groups)
        written.append(step)
    return json.dumps(written[::-1], separators=(",", ":"))


def decode(data: Any) -> Chain:
    """Return the chain.

    Raises:
        TypeError, ValueError: No sender wrote this.
    """
    if not isinstance(data, list):
        raise ValueError("lineage")
    return tuple(_link(entry) for entry in data)


def _grouped(pairs: Iterable[tuple[str, str]], bytes_left: int) -> tuple[list[Any], int]:
    """Return the pairs, those of one model together, until the bytes are used up."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for receiver, row in pairs:
        head, _, rest = row.partition(" pk=")
        key, _, tail = rest.rpartition(" (")
        group = (receiver, f"{head} pk=", f" ({tail}")
        bytes_left -= len(key) + 3 + (0 if group in groups else len(receiver) + len(row))
        if bytes_left < 0:
            return [[*group, keys] for group, keys in groups.items()], 0
        groups.setdefault(group, []).append(key)
    return [[*group, keys] for group, keys in groups.items()], bytes_left


def _link(entry: Any) -> Link:
    if not isinstance(entry, list):
        raise ValueError("lineage")
    name, key, groups = entry if len(entry) == 3 else (*entry, [])
    if not isinstance(name, str) or not isinstance(key, str | None) or not isinstance(groups, list):
        raise ValueError("lineage")
    pairs = [pair for group in groups for pair in _pairs(group)]
    return Link(
        name, None if key is None else Row(key), others=Others("", (), pairs) if pairs else None
    )


def _pairs(group: Any) -> Iterator[tuple[str, str]]:
    *about, keys = group
    if len(about) != 3 or not isinstance(keys, list):
        raise ValueError("lineage")
    receiver, head, tail = about
    for key in keys:
        if not all(isinstance(each, str) for each in (receiver, head, key, tail)):
            raise ValueError("lineage")
        yield receiver, f"{head}{key}{tail}"
