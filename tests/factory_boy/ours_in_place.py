"""A pytest plugin: factory_boy with this package's ``mute_signals`` in the place of its own."""

from __future__ import annotations

import factory.django
import pytest

from signals_plus.testing import mute_signals

entered: list[mute_signals] = []


class CountedMute(mute_signals):
    """Ours, and a note that it was used."""

    def __enter__(self) -> CountedMute:
        entered.append(self)
        return super().__enter__()

    def _copy(self) -> CountedMute:
        return CountedMute(*self.signals)


factory.django.mute_signals = CountedMute


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if nobody muted anything: then these were not the tests."""
    if not entered:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
