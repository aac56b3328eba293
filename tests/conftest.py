"""Fixtures for all tests: nothing that a test connects or registers outlives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from signals_plus import lineage, live, observing
from signals_plus.backends.handler import backends
from signals_plus.signals import enqueue_failed
from signals_plus.testing import capture_signals as CaptureSignals  # noqa: N812 - a class
from signals_plus.testing import capture_tasks as CaptureTasks  # noqa: N812 - a class
from signals_plus.testing import isolated_receivers
from tests.queues import RecordingBackend

REAL, IN_A_TEST_CASE = "real transactions", "inside a TestCase"


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    with isolated_receivers():
        yield
    assert [rule for rule in live.rules_here.get() if not rule.ended] == []
    assert live.everywhere.rules == ()
    assert lineage.current() == ()
    assert observing.watching.watchers == ()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs in both kinds of test, before pytest-django looks at the marks."""
    for item in items:
        if "database" in getattr(item, "fixturenames", ()):
            real = item.callspec.params["database"] == REAL  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.django_db(transaction=real, databases=["default", "other"]))


@pytest.fixture(params=[REAL, IN_A_TEST_CASE])
def database(request: pytest.FixtureRequest) -> str:
    """Run a test twice: with commits that commit, and inside a test case's transaction."""
    return str(request.param)


@pytest.fixture
def failures(capture_signals: Callable[..., CaptureSignals]) -> CaptureSignals:
    """Capture what is sent of tasks that were not enqueued, in any thread."""
    return capture_signals(enqueue_failed, all_threads=True)


@pytest.fixture
def tasks(capture_tasks: CaptureTasks) -> CaptureTasks:
    """Capture what the test enqueues: the plugin's fixture under a shorter name."""
    return capture_tasks


@pytest.fixture
def queue(settings: Any) -> RecordingBackend:
    """Let all tasks go to a queue that keeps how it was called."""
    settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": "tests.queues.RecordingBackend"}}
    backend = backends["default"]
    assert isinstance(backend, RecordingBackend)
    return backend
