"""A thread of the process: no server, no worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TITLE = "a thread of this process"
DISTRIBUTION = ""


def settings(var: Path) -> dict[str, Any]:
    """Return where tasks run."""
    return {
        "SIGNALS_PLUS_BACKENDS": {
            "default": {"BACKEND": "signals_plus.backends.thread.ThreadBackend"},
        },
    }


def worker(var: Path) -> list[str]:
    """Return nothing: there is no worker."""
    return []


def delete(var: Path) -> None:
    """Nothing is left: there is no server."""
