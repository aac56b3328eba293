"""What fuzzing has found, and what it started from, is read or refused for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.payloads.fuzz.reading import read

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.django_db(databases=["default", "other"])
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_no_other_error(path: Path) -> None:
    """PayloadError, or nothing."""
    read(path.read_bytes().decode("utf-8", "replace"))


def test_there_is_a_corpus() -> None:
    """An empty folder would pass."""
    assert len(CORPUS) >= 20
