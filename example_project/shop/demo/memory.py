"""How much memory this process takes, in bytes."""

from __future__ import annotations

import resource
from pathlib import Path

MB = 1_000_000

STATUS = Path("/proc/self/status")


def now() -> int:
    """Return what it takes; without /proc (macOS) the most that it has taken."""
    return _status("VmRSS")


def at_most() -> int:
    """Return the most that it has taken since it began."""
    return _status("VmHWM")


def _status(name: str) -> int:
    # Linux has getrusage() too, but there it begins with the memory of whoever started us.
    if STATUS.exists():
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields[name].removesuffix("kB")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
