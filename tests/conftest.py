"""Fixtures for all tests: nothing that a test connects or registers outlives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db.models import signals
from django.dispatch import Signal
from django.test import TestCase

from signals_plus import connecting, lineage, live
from signals_plus.backends.handler import backends
from signals_plus.registry import registry
from tests.queues import RecordingBackend

REAL, IN_A_TEST_CASE = "real transactions", "inside a TestCase"
MODEL_SIGNALS = [signal for signal in vars(signals).values() if isinstance(signal, Signal)]


@pytest.fixture(autouse=True)
def _nothing_stays_connected() -> Iterator[None]:
    before = [(signal, list(signal.receivers)) for signal in MODEL_SIGNALS]
    registered = dict(registry._receivers)
    waiting = list(connecting._waiting_for_model)
    pending = {key: list(operations) for key, operations in apps._pending_operations.items()}
    yield
    for signal, receivers in before:
        with signal.lock:
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()
    registry._receivers = registered
    connecting._waiting_for_model[:] = waiting
    apps._pending_operations.clear()
    apps._pending_operations.update(pending)
    assert live.rules_here.get() == ()
    assert live.everywhere.rules == ()
    assert lineage.current() == ()


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
def committing(database: str) -> Callable[[], AbstractContextManager[None]]:
    """Return a block at whose end all that waited for a commit has run, in both kinds of test."""

    @contextmanager
    def block() -> Iterator[None]:
        with ExitStack() as stack:
            if database == IN_A_TEST_CASE:
                for alias in ("default", "other"):
                    capture = TestCase.captureOnCommitCallbacks(using=alias, execute=True)
                    stack.enter_context(capture)
            yield

    return block


@pytest.fixture
def queue(settings: Any) -> RecordingBackend:
    """Let all tasks go to a queue that keeps them."""
    settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": "tests.queues.RecordingBackend"}}
    backend = backends["default"]
    assert isinstance(backend, RecordingBackend)
    return backend
