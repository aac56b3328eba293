"""A process that does what it is told in a child, which may end where a trap is.

It has started Django once: a child is a fork, and takes no time.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def produce(names: list[str], model: str = "Tag") -> None:
    """Save rows in one transaction."""
    from django.db import transaction

    from tests.testapp import models

    with transaction.atomic():
        for name in names:
            getattr(models, model).objects.create(name=name)


def relay(times: int = 1) -> None:
    """Relay what is due, as a relay that was just started."""
    from signals_plus.outbox.relay import Relay

    one = Relay(["default"])
    for _ in range(times):
        one.run_once()


def work(lines: list[str]) -> None:
    """Do what lines of the queue are for."""
    from tests.outbox.chaos import queue

    for line in lines:
        queue.work(line)


def _child(command: str, arguments: dict[str, Any]) -> None:
    try:
        commands: dict[str, Callable[..., None]]
        commands = {"produce": produce, "relay": relay, "work": work}
        commands[command](**arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    import django

    django.setup()
    from tests.outbox.chaos.traps import Traps

    Traps(Path(json.loads(os.environ["SIGNALS_PLUS_CHAOS"])["folder"])).install()
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        command, arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(command, arguments)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
