"""What the tests of the outbox have in common."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from signals_plus.outbox.models import Message
from signals_plus.outbox.relay import Relay
from tests.backends.conftest import make_app  # noqa: F401 - a fixture
from tests.queues import RecordingBackend

# Tests that really commit, and only into these tables: a flush of all takes several times as long.
committing_tests = pytest.mark.django_db(
    transaction=True,
    databases=["default", "other"],
    available_apps=["signals_plus", "signals_plus.outbox", "tests.testapp"],
)


class Outbox:
    """The outbox of a test: what is in it, and its time."""

    def __init__(self) -> None:
        self.relay = Relay(["default", "other"])

    def messages(self, using: str = "default") -> list[Message]:
        return [*Message.objects.using(using).order_by("id")]

    def make_due(self, using: str = "default") -> None:
        """Let all waiting come to an end."""
        for message in self.messages(using):
            message.due_at = message.created_at
            message.save()


@pytest.fixture
def outbox(queue: RecordingBackend, settings: Any) -> Outbox:
    """An outbox whose messages go to a queue that keeps how it was called."""
    return Outbox()


@pytest.fixture
def in_thread() -> Callable[[Callable[[], Any]], Any]:
    """Run something with a connection of its own."""

    def run_in_thread(work: Callable[[], Any]) -> Any:
        def work_and_close() -> Any:
            try:
                return work()
            finally:
                connections["default"].close()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(work_and_close).result(20)

    return run_in_thread
