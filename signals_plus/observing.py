"""What becomes of events, told to whoever watches: the helpers for tests.

Nobody watches in production, and then this costs one look at a tuple for each event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Watcher:
    """Someone who wants to know. It is called in the thread and context of the work itself."""

    def connected(self, receiver: Any) -> None:
        """Learn that a receiver was connected."""

    def skipped(self, receiver: Any, option: str) -> None:
        """Learn by which of its options a receiver does nothing about what it was just sent."""

    def scheduled(self, delivery: Any, item: Any, using: str) -> None:
        """Learn that an item waits for the commit on ``using``."""

    def replaced(self, items: Sequence[Any], by: Sequence[Any]) -> None:
        """Learn that rows were made of items: from now on they go by these others."""

    def committed(self, items: Sequence[Any]) -> None:
        """Learn that the commit came. An earlier callback that raises keeps items from delivery."""

    def delivered(self, items: Sequence[Any]) -> None:
        """Learn that items go where they are meant to go. In a test case no commit may come."""

    def written(self, messages: Sequence[Any]) -> None:
        """Learn of committed messages of the outbox. Those whose turn it was have been enqueued."""

    def failed(self, name: str, error: BaseException) -> None:
        """Learn of an error that is logged and goes no further: of a receiver, or a task."""


class _Watching:
    # Replaced whole: another thread may be going through it.
    watchers: tuple[Watcher, ...] = ()


watching = _Watching()


def watch(watcher: Watcher) -> None:
    """Tell a watcher of everything, in all threads, until ``unwatch``."""
    watching.watchers += (watcher,)


def unwatch(watcher: Watcher) -> None:
    """Leave a watcher in peace."""
    watching.watchers = tuple(each for each in watching.watchers if each is not watcher)


def connected(receiver: Any) -> None:
    """Tell that a receiver was connected."""
    for watcher in watching.watchers:
        watcher.connected(receiver)


def failed(name: str, error: BaseException) -> None:
    """Tell of an error that a receiver or a task has raised, and that is only logged."""
    for watcher in watching.watchers:
        watcher.failed(name, error)


def skip(receiver: Any, option: str) -> Any:
    """Tell that a receiver does nothing about an event; return None."""
    for watcher in watching.watchers:
        watcher.skipped(receiver, option)
