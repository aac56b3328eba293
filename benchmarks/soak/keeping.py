"""The figures of a soak that are kept, and the page of the documentation that shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from benchmarks import machine as this_machine
from benchmarks.page import RESULTS, ROOT

from .report import described

PAGE = ROOT / "docs" / "reference" / "soak.md"
REGION = re.compile(r"(?<=<!-- results: begin -->\n).*(?=<!-- results: end -->)", re.DOTALL)


def machine(database: str) -> dict[str, str]:
    """Return what the soak ran on."""
    return this_machine.described() | {"database": database}


def keep(report: Mapping[str, Any]) -> None:
    """Write the figures to a file of their database's own, and all such files to the page."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"soak-{report['database']}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(REGION.sub(lambda _: rendered(), PAGE.read_text(encoding="utf-8")), "utf-8")


def rendered() -> str:
    """Return what the page says of all soaks that were kept."""
    reports = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("soak-*.json"))
    ]
    return "\n".join(f"\n```text\n{described(report)}\n```\n" for report in reports)
