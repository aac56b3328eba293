"""What a soak counts, and what it calls a problem: a harness that finds nothing proves nothing."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import keeping
from benchmarks.soak.chaos import Chaos
from benchmarks.soak.ledger import Tally, tally
from benchmarks.soak.processes import Broker
from benchmarks.soak.report import CONTROLS, NOTHING_LOST, NOTHING_TWICE, Report, described


def compared(
    committed: str, effects: str, *, begun: str | None = None, keys: str | None = None
) -> Tally:
    """Compare events, a letter each, with effects in the order in which they were committed."""
    numbers = {name: number for number, name in enumerate(committed)}
    took = [numbers[name] for name in effects]
    rows = list(zip(numbers.values(), keys or committed, strict=True))
    return tally(
        rows,
        Counter(took),
        Counter(numbers[name] for name in (effects if begun is None else begun)),
        {event: place for place, event in enumerate(took)},
    )


class TestTally:
    def test_of_what_is_done_once(self) -> None:
        assert compared("abc", "bca") == Tally(
            committed=3, executions=3, lost=0, lost_begun=0, duplicates=0, disordered=0
        )

    def test_counts_what_is_lost(self) -> None:
        """And of that, what a worker had begun."""
        result = compared("abcd", "a", begun="ab")

        assert (result.lost, result.lost_begun, result.executions) == (3, 1, 2)

    def test_counts_effects_beyond_the_first(self) -> None:
        assert compared("ab", "aaab").duplicates == 2

    def test_counts_an_execution_that_was_rolled_back(self) -> None:
        """It leaves no effect, and the next one does: not lost, not doubled."""
        result = compared("a", "a", begun="aa")

        assert (result.executions, result.lost, result.duplicates) == (2, 0, 0)

    @pytest.mark.parametrize(
        ("effects", "keys", "disordered"),
        [
            ("abc", "kkk", 0),
            ("bac", "kkk", 1),
            ("cba", "kkk", 2),
            ("cba", "kxk", 1),
            ("ba", "kx", 0),
        ],
    )
    def test_counts_what_is_out_of_order(self, effects: str, keys: str, disordered: int) -> None:
        """Of one key. Others may overtake."""
        assert compared("abc"[: len(keys)], effects, keys=keys).disordered == disordered

    def test_does_not_hide_a_duplicate_behind_a_loss(self) -> None:
        """Their numbers are equal: a comparison of numbers would see nothing."""
        result = compared("ab", "aa")

        assert (result.lost, result.duplicates) == (1, 1)


GOOD = Tally(committed=9000, executions=9100, lost=0, lost_begun=0, duplicates=0, disordered=0)
LOST = dataclasses.replace(GOOD, lost=7)


def report(**changed: Any) -> Report:
    ways = dict.fromkeys(NOTHING_LOST, GOOD) | dict.fromkeys(CONTROLS, LOST)
    given: dict[str, Any] = {
        "seed": 1, "seconds": 1200, "database": "postgresql", "machine": {},
        "kills": {"relay": 300, "worker": 300, "broker": 15}, "pauses": {"relay": 3},
        "crashes": {}, "drained_in": 1.5, "left": {"outbox": 0}, "dead": 0, "ghosts": 0,
    }  # fmt: skip
    ways |= changed.pop("ways", {})
    return Report(**{**given, "ways": ways, **changed})


class TestReport:
    def test_of_what_was_promised_has_no_problem(self) -> None:
        assert report().problems() == []

    @pytest.mark.parametrize(
        ("way", "field"),
        [
            *((way, "lost") for way in NOTHING_LOST),
            *((way, "duplicates") for way in NOTHING_TWICE),
            ("ordered", "disordered"),
        ],
    )
    def test_names_a_promise_that_is_broken(self, way: str, field: str) -> None:
        """By a single event of nine thousand."""
        (problem,) = report(ways={way: dataclasses.replace(GOOD, **{field: 1})}).problems()

        assert problem.startswith(f"{way}: 1 ")

    @pytest.mark.parametrize("way", CONTROLS)
    def test_wants_the_controls_to_lose(self, way: str) -> None:
        assert report(ways={way: GOOD}).problems() == [f"{way}: a control has lost nothing"]

    @pytest.mark.parametrize(
        ("changed", "problem"),
        [
            ({"ghosts": 2}, "2 effects of what was rolled back"),
            ({"dead": 2}, "2 messages are dead"),
            ({"left": {"outbox": 1, "queue": 0}}, "not drained: outbox 1, queue 0"),
            ({"crashes": {"relay": 1}}, "relay: 1 ended by themselves"),
            ({"kills": {"worker": 400, "broker": 15}}, "415 kills, 500 wanted"),
            ({"kills": {"worker": 600, "broker": 3}}, "3 kills of the broker, 15 wanted"),
        ],
    )
    def test_names_what_else_is_wrong(self, changed: dict[str, Any], problem: str) -> None:
        assert report(**changed).problems() == [problem]

    def test_wants_enough_events_of_a_long_soak_alone(self) -> None:
        few = dict.fromkeys(NOTHING_LOST, dataclasses.replace(GOOD, committed=10))

        assert report(ways=few).problems() == ["30 events, 20000 wanted"]
        assert report(ways=few, seconds=30).problems() == []

    def test_leaves_workers_that_end_by_themselves_to_celery(self) -> None:
        assert report(crashes={"worker": 3}).problems() == []

    def test_is_written_with_its_problems(self) -> None:
        text = described(report(ways={"durable": LOST}).as_json())

        assert text.endswith("PROBLEM: durable: 7 lost")
        assert "seed 1, 1200 s, postgresql" in text


class TestChaos:
    def test_is_decided_by_the_seed(self, tmp_path: Path) -> None:
        """Who is killed, and when. What that hits is up to the machine."""

        def rolled(seed: int) -> list[float]:
            dice: random.Random = Chaos(seed, tmp_path, Broker(tmp_path)).dice
            return [dice.random() for _ in range(10)]

        assert rolled(7) == rolled(7) != rolled(8)


def test_the_page_shows_what_was_kept() -> None:
    shown = keeping.REGION.search(keeping.PAGE.read_text(encoding="utf-8"))

    assert shown is not None
    assert shown[0] == keeping.rendered()
