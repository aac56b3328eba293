"""Fixtures for all tests: nothing that a test connects or registers outlives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.models import signals
from django.dispatch import Signal

from signals_plus import connecting, lineage, live
from signals_plus.registry import registry

MODEL_SIGNALS = [signal for signal in vars(signals).values() if isinstance(signal, Signal)]


@pytest.fixture(autouse=True)
def _nothing_stays_connected() -> Iterator[None]:
    before = [(signal, list(signal.receivers)) for signal in MODEL_SIGNALS]
    registered = dict(registry._receivers)
    waiting = list(connecting._waiting_for_model)
    yield
    for signal, receivers in before:
        with signal.lock:
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()
    registry._receivers = registered
    connecting._waiting_for_model[:] = waiting
    assert live.rules_here.get() == ()
    assert live.everywhere.rules == ()
    assert lineage.current() == ()


@pytest.fixture(params=["real transactions", "inside a TestCase"])
def database(request: pytest.FixtureRequest) -> str:
    """Run a test twice: with commits that commit, and inside a test case's transaction."""
    real = request.param == "real transactions"
    request.applymarker(
        pytest.mark.django_db(transaction=real, databases=["default", "other"])
    )
    request.getfixturevalue("transactional_db" if real else "db")
    return str(request.param)
