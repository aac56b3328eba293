"""End a process that is told to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def calling_when_told(stop: Callable[[], object]) -> Iterator[None]:
    """Call ``stop`` when the process gets SIGTERM or SIGINT. The second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():  # only there it can be done
        yield
        return
    before = {each: signal.getsignal(each) for each in SIGNALS}

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def handle(*args: object) -> None:
        restore()
        stop()

    for each in SIGNALS:
        signal.signal(each, handle)
    try:
        yield
    finally:
        restore()
