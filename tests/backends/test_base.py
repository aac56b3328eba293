"""What a backend does that implements no more than it must."""

from __future__ import annotations

from typing import Any

import pytest

from signals_plus.backends.base import BaseBackend, Refused, Task
from signals_plus.exceptions import BackendError

A = Task(name="shop.a", function=print, run=print)
B = Task(name="shop.b", function=print, run=print)


class Full(BaseBackend):
    """Takes everything but what says otherwise."""

    def __init__(self) -> None:
        super().__init__("default", {})
        self.taken: list[tuple[str, str]] = []

    def register(self, task: Task) -> None: ...

    def enqueue(self, task: Task, payload: str) -> None:
        if payload == "too much":
            raise BackendError(self.alias, "is full")
        if payload == "broken":
            raise LookupError("an error of the receiver's own")
        self.taken.append((task.name, payload))


class TestEnqueueMany:
    def test_enqueues_one_after_the_other(self) -> None:
        """Several tasks, in the order given."""
        backend = Full()

        refused = backend.enqueue_many([(A, "1"), (B, "2"), (A, "3")])

        assert refused == []
        assert backend.taken == [("shop.a", "1"), ("shop.b", "2"), ("shop.a", "3")]

    def test_returns_what_was_refused(self) -> None:
        """Each with its own error, and the next is enqueued."""
        backend = Full()

        refused = backend.enqueue_many([(A, "1"), (B, "too much"), (A, "3")])

        (one,) = refused
        assert isinstance(one, Refused)
        assert (one.task, one.payload) == (B, "too much")
        assert str(one.error) == "Backend 'default' is full"
        assert backend.taken == [("shop.a", "1"), ("shop.a", "3")]

    def test_lets_other_errors_through(self) -> None:
        """Those of a receiver that runs at once are its caller's, as those of enqueue() are."""
        backend = Full()
        messages: Any = [(A, "broken"), (A, "2")]

        with pytest.raises(LookupError, match="the receiver's own"):
            backend.enqueue_many(messages)
