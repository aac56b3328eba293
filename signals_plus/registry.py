"""The task receivers of this process, by name: all that a worker can be asked to run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .exceptions import InvalidReceiverError, SettingsError, UnknownReceiverError

if TYPE_CHECKING:
    from .tasks import TaskReceiver


class Registry:
    """Names and their receivers, and whether the queues know of them yet.

    Queues are told when Django has started: a decorator reads no settings and imports no queue.
    """

    def __init__(self) -> None:
        self._receivers: dict[str, TaskReceiver] = {}
        self.is_live = False

    def __iter__(self) -> Iterator[TaskReceiver]:
        return iter(list(self._receivers.values()))

    def __getitem__(self, name: str) -> TaskReceiver:
        try:
            return self._receivers[name]
        except KeyError:
            raise UnknownReceiverError(name) from None

    def refuse_taken_name(self, receiver: TaskReceiver) -> None:
        """Raise if another receiver has the name: a queue would run just one of them."""
        other = self._receivers.get(receiver.name)
        if other is None or not other.is_connected():
            return
        again = other.function == receiver.function and other.signals == receiver.signals
        if again and other.senders == receiver.senders and other.options == receiver.options:
            return
        if other.origin is not None and other.origin.is_imported_again_as(receiver.origin):
            return
        raise InvalidReceiverError(
            receiver.name,
            "is the name of two task receivers",
            "Give one of them another name=, or one decorator a list of signals and senders.",
        )

    def add(self, receiver: TaskReceiver) -> None:
        """Let workers find the receiver."""
        self._receivers[receiver.name] = receiver

    def registered(self) -> dict[str, TaskReceiver]:
        """Return the receivers by name, for ``restore``."""
        return dict(self._receivers)

    def restore(self, receivers: dict[str, TaskReceiver]) -> None:
        """Let workers find these receivers, and no others."""
        self._receivers = dict(receivers)

    def go_live(self) -> None:
        """Tell the queues of all receivers, and from now on of each new one."""
        self.is_live = True
        for receiver in self:
            receiver.register()

    def require_live(self) -> None:
        """Raise if no worker could know of any receiver."""
        if not self.is_live:
            raise SettingsError(
                "INSTALLED_APPS",
                "does not have 'signals_plus': without it no worker finds the task receivers. "
                "Add it.",
            )


registry = Registry()
