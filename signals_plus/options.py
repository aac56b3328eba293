"""What a decorator was told, beside the function, the signals and the senders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

When = Callable[..., object]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The keywords that all decorators share."""

    priority: int = 0
    when: When | None = None
    raw: bool = False
    created: bool | None = None
    recursion: str = "skip"


@dataclass(frozen=True, kw_only=True)
class OnCommitOptions(Options):
    """The keywords of ``receiver_on_commit``."""

    using: str | None = None
    robust: bool = True


@dataclass(frozen=True, kw_only=True)
class TaskOptions(Options):
    """The keywords of ``receiver_task``."""

    name: str | None = None
    backend: str = "default"
    using: str | None = None
    queue_name: str | None = None
    run_after: timedelta | None = None
    on_missing: str = "skip"
    backend_options: Mapping[str, Any] = field(default_factory=dict)
