"""What a decorator was told, beside the function, the signals and the senders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

When = Callable[..., object]


DEFAULT_BATCH_SIZE = 1000


class Options(NamedTuple):
    """The keywords of the decorators, each with its default.

    One class for all of them, and a named tuple: three dataclasses took longer to make, whenever
    the package is imported, than most of its modules.
    """

    # Of all three.
    priority: int = 0
    when: When | None = None
    raw: bool = False
    created: bool | None = None
    recursion: str = "skip"
    # Of those that wait for the commit.
    using: str | None = None
    coalesce: bool = False
    batch: bool = False
    # Of receiver_on_commit.
    robust: bool = True
    # Of receiver_task.
    name: str | None = None
    backend: str = "default"
    queue_name: str | None = None
    queue_priority: int | None = None
    run_after: timedelta | None = None
    batch_size: int = DEFAULT_BATCH_SIZE
    on_missing: str = "skip"
    backend_options: Mapping[str, Any] = MappingProxyType({})
    durable: bool | str = False
    atomic: bool = True
    ordering_key: When | None = None
    on_dead: str = "block"
