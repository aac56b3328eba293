"""Django signals that wait for the commit, run as tasks, do not loop, and can be muted."""

from __future__ import annotations

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
