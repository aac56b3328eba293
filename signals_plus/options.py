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
class DeferredOptions(Options):
    """The keywords of both decorators that wait for the commit."""

    using: str | None = None
    coalesce: bool = False
    batch: bool = False

    @property
    def merges(self) -> bool:
        """Whether all events of a commit are looked at together."""
        return self.batch or self.coalesce


@dataclass(frozen=True, kw_only=True)
class OnCommitOptions(DeferredOptions):
    """The keywords of ``receiver_on_commit``."""

    robust: bool = True


@dataclass(frozen=True, kw_only=True)
class TaskOptions(DeferredOptions):
    """The keywords of ``receiver_task``."""

    name: str | None = None
    backend: str = "default"
    queue_name: str | None = None
    run_after: timedelta | None = None
    batch_size: int = 1000
    on_missing: str = "skip"
    backend_options: Mapping[str, Any] = field(default_factory=dict)
