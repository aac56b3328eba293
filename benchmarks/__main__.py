"""The command line: ``python -m benchmarks [--quick] [--only NAME]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from . import machine, page
from .running import Outcome, run
from .table import PEERS, ROWS, Row


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 1 if a target is missed or a comparison fails."""
    options = _parser().parse_args(arguments)
    rows = [row for row in (*ROWS, *PEERS) if options.only in (None, row.run.comparison)]
    figures: dict[str, Mapping[str, Any]] = {}
    missed = False
    for each in dict.fromkeys(row.run for row in rows):
        started = time.monotonic()
        outcome = run(each, quick=options.quick)
        for row in (row for row in rows if row.run == each):
            figures[row.name] = _figure(row, outcome)
            missed |= _print(row, figures[row.name])
        print(f"    {each.comparison} took {time.monotonic() - started:.0f} s", flush=True)
    if not options.quick:
        page.keep(machine.django_series(), machine.described(), figures)
    return int(missed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="too short for figures that can be trusted: they are printed, and not kept",
    )
    parser.add_argument(
        "--only",
        choices=sorted({row.run.comparison for row in (*ROWS, *PEERS)}),
        help="one comparison instead of all",
    )
    return parser


def _figure(row: Row, outcome: Outcome) -> Mapping[str, Any]:
    if outcome.skipped or outcome.failed:
        return {"skipped": outcome.skipped, "failed": outcome.failed}
    return outcome.figures[row.figure]


def _print(row: Row, figure: Mapping[str, Any]) -> bool:
    """Print a row; return whether something is wrong with it."""
    verdict = page.verdict(row, figure)
    print(f"{row.name:36} {page.target(row):12} {verdict:7} {page.shown(row, figure)}", flush=True)
    return verdict == "**no**" or bool(figure.get("failed"))


if __name__ == "__main__":
    sys.exit(main())
