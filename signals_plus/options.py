"""What a decorator was told, beside the function, the signals and the senders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

When = Callable[..., object]


# One class for all decorators, and no repr: three of them took longer to make, whenever the package
# is imported, than most of its modules.
@dataclass(frozen=True, kw_only=True, repr=False)
class Options:
    """The keywords of the decorators, each with its default."""

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
    run_after: timedelta | None = None
    batch_size: int = 1000
    on_missing: str = "skip"
    backend_options: Mapping[str, Any] = field(default_factory=dict)
