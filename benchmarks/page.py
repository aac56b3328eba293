"""The results: kept as JSON for each Django series, shown in docs/reference/benchmarks.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .table import PEERS, ROWS, Row

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
REGION = re.compile(r"(?<=<!-- results: begin -->\n).*(?=<!-- results: end -->)", re.DOTALL)

Figure = Mapping[str, Any]  # measuring.Figure as JSON, or why there is none


def keep(series: str, machine: Mapping[str, str], figures: Mapping[str, Figure]) -> None:
    """Add what was measured on a Django series to what is known of it, and write the page."""
    path = RESULTS / f"django-{series}.json"
    known = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.exists() else {}
    known = {row.name: figures.get(row.name, known.get(row.name)) for row in (*ROWS, *PEERS)}
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps({"machine": machine, "figures": known}, indent=2, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
    PAGE.write_text(REGION.sub(lambda _: rendered(), PAGE.read_text(encoding="utf-8")), "utf-8")


def rendered() -> str:
    """Return the tables for all results there are."""
    results = {
        path.stem.removeprefix("django-"): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(RESULTS.glob("django-*.json"))
    }
    return "\n".join(
        [
            "\n## Against what users write by hand\n",
            *_table(ROWS, results, with_target=True),
            "\n## Against others\n",
            *_table(PEERS, results, with_target=False),
            "\n## Measured on\n",
            *_machines(results),
            "",
        ]
    )


def shown(row: Row, figure: Figure | None) -> str:
    """Return a figure with its spread, or why there is none."""
    if not figure:
        return "not measured"
    if "value" not in figure:
        return str(figure["skipped"] or figure["failed"])
    value, low, high = (_number(figure[each], row.unit) for each in ("value", "low", "high"))
    text = f"{value} ({low} … {high})" if figure["low"] != figure["high"] else value
    return "; ".join(filter(None, (text, figure["note"])))


def verdict(row: Row, figure: Figure | None) -> str:
    """Return whether the target is held, where there is one and a figure."""
    held = row.is_held(figure["value"]) if figure and "value" in figure else None
    return {True: "yes", False: "**no**", None: ""}[held]


def target(row: Row) -> str:
    """Return what is to be reached."""
    return "" if row.target is None else f"≤ {_number(row.target, row.unit)}"


def _table(rows: Iterable[Row], results: Mapping[str, Any], *, with_target: bool) -> Iterable[str]:
    columns = ["what", *(["target"] if with_target else [])]
    for series in results:
        columns += [f"Django {series}", *(["held"] if with_target else [])]
    yield _line(columns)
    yield _line(["---"] * len(columns))
    for row in rows:
        cells = [row.what, *([target(row)] if with_target else [])]
        for result in results.values():
            figure = result["figures"].get(row.name)
            cells += [shown(row, figure), *([verdict(row, figure)] if with_target else [])]
        yield _line(cells)


def _machines(results: Mapping[str, Any]) -> Iterable[str]:
    for series, result in results.items():
        versions = ", ".join(f"{name} {version}" for name, version in result["machine"].items())
        yield f"- Django {series}: {versions}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float, unit: str) -> str:
    if unit != "x":
        return f"{value:.0f} {unit}"
    if value < 0.2:
        return f"1/{1 / value:.0f}"
    return f"{value:.2f} x" if value < 10 else f"{value:.1f} x"
