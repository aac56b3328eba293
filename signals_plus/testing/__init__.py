"""Helpers for test suites: what was sent, what was enqueued, and commits that count."""

from __future__ import annotations

from ..muting import mute_signals
from .commits import run_on_commit
from .enqueued import EnqueuedTask
from .isolating import isolated_receivers
from .mixins import MuteSignalsMixin, RunOnCommitMixin, SignalsMixin
from .signals import capture_signals
from .tasks import capture_tasks
from .timeline import SentSignal
from .wiring import assert_connected, receivers_of

__all__ = [
    "EnqueuedTask",
    "MuteSignalsMixin",
    "RunOnCommitMixin",
    "SentSignal",
    "SignalsMixin",
    "assert_connected",
    "capture_signals",
    "capture_tasks",
    "isolated_receivers",
    "mute_signals",
    "receivers_of",
    "run_on_commit",
]
