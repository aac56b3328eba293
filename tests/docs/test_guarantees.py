"""Each fault on the page of guarantees names tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OUTBOX = ROOT / "tests" / "outbox"
PAGE = (ROOT / "docs" / "explanation" / "delivery-guarantees.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w/]+\.py::[\w:]+)`", PAGE)
ROWS = [
    line
    for part in PAGE.split("| fault | what happens | shown by |\n|---|---|---|\n")[1:]
    for line in part.partition("\n\n")[0].splitlines()
]


@cache
def _tests(path: str) -> set[str]:
    tree = ast.parse((OUTBOX / path).read_text(encoding="utf-8"))
    found = set()
    for node in tree.body:
        for each in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(each, ast.FunctionDef) and each.name.startswith("test_"):
                owner = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
                found.add(f"{path}::{owner}{each.name}")
    return found


@pytest.mark.parametrize("name", NAMED)
def test_is_there(name: str) -> None:
    assert name in _tests(name.partition("::")[0])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_each_fault_has_a_test_or_is_a_limit(row: str) -> None:
    assert any(name in row for name in NAMED) or "*Limit*" in row


@pytest.mark.parametrize(
    "path", sorted(f"faults/{path.name}" for path in (OUTBOX / "faults").glob("test_*.py"))
)
def test_each_test_of_a_fault_is_named(path: str) -> None:
    """What is shown and not said would be of no use to who reads the page."""
    assert not _tests(path) - {*NAMED}


def test_the_page_has_all_its_tables() -> None:
    assert len(ROWS) > 35
