"""Helpers for test suites."""

from __future__ import annotations

from .muting import mute_signals

__all__ = ["mute_signals"]
