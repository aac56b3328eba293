"""Run a worker that ends with the demo: ``python -m shop.demo.in_worker MODULE ARGUMENT ...``."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Run a module as ``python -m`` does, and end when the demo is gone, however it went."""
    threading.Thread(target=_wait_for_the_end_of_stdin, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _wait_for_the_end_of_stdin() -> None:
    # The file descriptor, not sys.stdin: its lock would be in the way when Python ends.
    while os.read(sys.__stdin__.fileno(), 1024):  # type: ignore[union-attr]
        pass
    # With all processes that the worker has started: they are one group.
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
