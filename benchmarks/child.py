"""Run one comparison: ``python -m benchmarks.child NAME``, called by ``running``.

The last line of its output is its figures as JSON.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.db import connections

from .measuring import Bench


def main(name: str) -> None:
    """Measure, and print the figures by their names."""
    django.setup()
    bench = Bench(quick=os.environ["BENCHMARKS_QUICK"] == "1")
    with _tables(), _queue():
        comparison = importlib.import_module(f"benchmarks.comparisons.{name}")
        figures = comparison.measure(bench)
    print(json.dumps({each: dataclasses.asdict(figure) for each, figure in figures.items()}))


@contextmanager
def _tables() -> Iterator[None]:
    for connection in connections.all():
        connection.creation.create_test_db(verbosity=0, autoclobber=True)  # type: ignore[deprecated]
    try:
        yield
    finally:
        for connection in connections.all():
            connection.close()
            connection.creation.destroy_test_db(connection.settings_dict["NAME"], verbosity=0)


@contextmanager
def _queue() -> Iterator[None]:
    if not os.environ["BENCHMARKS_BROKER"]:
        yield
        return
    from .project import queue  # noqa: PLC0415 - asks the broker

    queue.empty()
    try:
        yield
    finally:
        queue.delete()


if __name__ == "__main__":
    main(sys.argv[1])
