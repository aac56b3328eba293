"""Which events a worker has begun to handle: in files, where no rollback undoes it."""

from __future__ import annotations

import functools
import os
from collections import Counter
from pathlib import Path

FOLDER = Path(os.environ.get("SOAK_FOLDER", "."))


def begun(event: int) -> None:
    """Note that an execution has begun. The line survives the process."""
    os.write(_file(os.getpid()), b"%d\n" % event)


def read() -> Counter[int]:
    """Return how often each event was begun."""
    return Counter(
        int(line) for path in FOLDER.glob("begun-*") for line in path.read_text().splitlines()
    )


@functools.cache
def _file(pid: int) -> int:
    return os.open(FOLDER / f"begun-{pid}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
