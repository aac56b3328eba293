"""Django signals that wait for the commit, run as tasks, do not loop, and can be muted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .events import Event
    from .guards import recursion_guard
    from .muting import mute_signals
    from .payloads import payload_type
    from .receivers import receiver, receiver_on_commit, receiver_task

__version__ = "0.1.0"

__all__ = [
    "Event",
    "mute_signals",
    "payload_type",
    "receiver",
    "receiver_on_commit",
    "receiver_task",
    "recursion_guard",
]

# Imported when first asked for: pytest imports this package to find its plugin, in projects
# without Django too, and before anybody measures coverage.
_WHERE = {
    "Event": "events",
    "mute_signals": "muting",
    "payload_type": "payloads",
    "receiver": "receivers",
    "receiver_on_commit": "receivers",
    "receiver_task": "receivers",
    "recursion_guard": "guards",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_WHERE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
