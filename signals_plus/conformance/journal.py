"""What receivers write down, in a file that all processes share.

Not in a database: what a test has to see must not depend on a commit of the queue's own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

NAME = "runs.jsonl"


def write(receiver: str, **detail: Any) -> None:
    """Note that a receiver runs. One write at the end of the file, which no other can tear."""
    line = json.dumps({"receiver": receiver, "pid": os.getpid(), **detail}) + "\n"
    folder = json.loads(os.environ["SIGNALS_PLUS_CONFORMANCE"])["folder"]
    with Path(folder, NAME).open("ab", buffering=0) as file:
        file.write(line.encode())


def read(folder: Path) -> list[dict[str, Any]]:
    """Return all notes, in the order in which they were written."""
    path = folder / NAME
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    # The last one may be under way.
    return [json.loads(line) for line in lines if line.endswith("\n")]
