#!/usr/bin/env python
"""Run the example project's commands: ``python example_project/manage.py demo``."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from django.core.management import execute_from_command_line


def main() -> None:
    """Run the command that the command line names."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with demo_folder() if sys.argv[1:2] == ["demo"] else nullcontext():
        execute_from_command_line(sys.argv)


@contextmanager
def demo_folder() -> Iterator[None]:
    """Give one run of the demo a folder of its own, kept only for the log of a demo that failed.

    Two demos do not collide, and none leaves anything in the project.
    """
    folder = tempfile.mkdtemp(prefix="shop-demo-")
    os.environ["SHOP_VAR"] = folder
    worth_keeping = False
    try:
        yield
    except SystemExit as end:
        worth_keeping = end.code == 1 and Path(folder, "worker.log").exists()
        raise
    finally:
        if not worth_keeping:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
