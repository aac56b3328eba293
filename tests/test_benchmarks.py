"""The benchmarks run, compare what they say, and show what they found. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import page, running, servers, table
from benchmarks.measuring import Bench, Figure
from benchmarks.table import Row, Run

ROOT = Path(__file__).parents[1]
CHEAP = "guard"
ROW = Row(Run("guard"), "flag", "a guard", target=0.5)


def figure(value: float, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": value, "high": value, "note": "", **more}


class TestCommand:
    def test_runs_a_comparison(self) -> None:
        """In processes of their own, on a database of their own."""
        result = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--quick", "--only", CHEAP],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

        assert result.stderr == ""
        assert result.returncode in {0, 1}  # held, or missed: the machine may be busy
        for row in (row for row in table.ROWS if row.run.comparison == CHEAP):
            assert f"{row.name} " in result.stdout

    @pytest.mark.parametrize(
        ("outcome", "status"),
        [
            (running.Outcome({"flag": figure(0.1), "reconnect": figure(0.1)}), 0),
            (running.Outcome({"flag": figure(99), "reconnect": figure(0.1)}), 1),
            (running.Outcome({}, failed="ValueError: no"), 1),
            (running.Outcome({}, skipped="no redis"), 0),
        ],
    )
    def test_fails_for_what_is_missed_or_broken(
        self, outcome: running.Outcome, status: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A missing server is neither."""
        monkeypatch.setattr(command, "run", lambda each, quick: outcome)

        assert command.main(["--quick", "--only", CHEAP]) == status

    def test_skips_what_has_no_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And says where it has looked."""
        nobody = "redis://127.0.0.1:1/0"
        monkeypatch.setitem(servers.URLS, "redis", nobody)
        servers.version.cache_clear()

        outcome = running.run(Run("task", broker="redis"), quick=True)

        servers.version.cache_clear()
        assert outcome.skipped.startswith(f"no redis at {nobody}: ")

    def test_skips_what_is_not_installed(self) -> None:
        """A peer is no dependency."""
        outcome = running.run(Run("peer_x", needs="no_such_peer"), quick=True)

        assert outcome == running.Outcome({}, skipped="no_such_peer is not installed")

    def test_tells_why_a_comparison_failed(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The traceback goes to standard error, its last line into the table."""
        outcome = running.run(Run("no_such_comparison"), quick=True)

        assert outcome.failed.startswith("ModuleNotFoundError: ")
        assert "Traceback" in capsys.readouterr().err


class TestMeasuring:
    def test_runs_contenders_in_turn(self) -> None:
        """After a round that does not count, each begins as often as the other."""
        calls: list[str] = []

        results = Bench(quick=False).in_turn(
            {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2
        )

        assert "".join(calls) == "ababba"
        assert results == {"a": [None, None], "b": [None, None]}

    def test_compares_round_by_round(self) -> None:
        """A machine that slows down slows down both."""
        result = Figure.of_ratios([1.0, 10.0, 100.0], [2.0, 20.0, 200.0])

        assert (result.low, result.value, result.high) == (0.5, 0.5, 0.5)


class TestPage:
    @pytest.mark.parametrize("value", [0.4, 0.5, 0.6])
    def test_tells_whether_the_target_is_held(self, value: float) -> None:
        """At most the target."""
        assert page.verdict(ROW, figure(value)) == ("yes" if value <= 0.5 else "**no**")

    @pytest.mark.parametrize(
        ("shown", "text"),
        [
            (None, "not measured"),
            ({"skipped": "no redis", "failed": ""}, "no redis"),
            (figure(0.0051), "1/196"),
            (figure(1.234), "1.23 x"),
            (figure(12.34), "12.3 x"),
            (figure(1.234, low=1.1, high=1.3), "1.23 x (1.10 x … 1.30 x)"),
            (figure(1.234, note="by hand: 19 x"), "1.23 x; by hand: 19 x"),
        ],
    )
    def test_shows_figures(self, shown: dict[str, Any] | None, text: str) -> None:
        """As multiples, and small ones as fractions."""
        assert page.shown(ROW, shown) == text

    def test_keeps_what_was_measured_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A run of some rows leaves the figures of the others, and those of other Djangos."""
        target = tmp_path / "benchmarks.md"
        target.write_text(
            "Before\n<!-- results: begin -->\nearlier\n<!-- results: end -->\nAfter\n"
        )
        monkeypatch.setattr(page, "RESULTS", tmp_path)
        monkeypatch.setattr(page, "PAGE", target)
        first, second = table.ROWS[:2]

        page.keep("5.2", {"Python": "3.11"}, {first.name: figure(0.25)})
        page.keep("6.1", {"Python": "3.13"}, {first.name: figure(0.5)})
        page.keep("6.1", {"Python": "3.13"}, {second.name: figure(0.75)})

        text = target.read_text()
        kept = json.loads((tmp_path / "django-6.1.json").read_text())["figures"]
        assert (kept[first.name]["value"], kept[second.name]["value"]) == (0.5, 0.75)
        assert f"| {first.what} | ≤ 1.03 x | 0.25 x | yes | 0.50 x | yes |" in text
        assert "- Django 6.1: Python 3.13" in text
        assert text.startswith("Before\n")
        assert text.endswith("After\n")
        assert "earlier" not in text

    def test_is_what_the_results_say(self) -> None:
        """Nobody edits the tables."""
        region = page.REGION.search(page.PAGE.read_text(encoding="utf-8"))

        assert region is not None
        assert region.group() == page.rendered()


class TestTable:
    def test_has_a_name_for_each_row(self) -> None:
        """Results are kept by it."""
        names = [row.name for row in (*table.ROWS, *table.PEERS)]

        assert len(set(names)) == len(names)

    def test_has_a_module_for_each_comparison(self) -> None:
        """And none besides, but for what they share."""
        modules = {path.stem for path in (ROOT / "benchmarks" / "comparisons").glob("*.py")}

        named = {row.run.comparison for row in (*table.ROWS, *table.PEERS)}
        assert modules == named | {"__init__", "plain_send_process"}
