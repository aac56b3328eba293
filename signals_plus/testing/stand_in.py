"""The backend that takes the place of all others while tasks are captured."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from ..backends.base import BaseBackend, Refused, Task
from ..backends.handler import backends
from .enqueued import EnqueuedTask
from .helper import lock
from .recording import Recorder


class TaskRecorder(Recorder):
    """A recorder that gets what is enqueued, in the place of every queue."""

    @abstractmethod
    def _take(self, tasks: Sequence[EnqueuedTask]) -> None:
        """Get what was enqueued at one time."""

    def _begin(self) -> None:
        super()._begin()
        _change_users(+1)

    def _end(self, error: BaseException | None) -> None:
        _change_users(-1)
        super()._end(error)


class _StandIn(BaseBackend):
    """Takes every receiver, with any option, and gives each task to whoever captures here."""

    supports_queue_name = True
    supports_run_after = True
    supports_priority = True
    supports_retries = True
    option_names = None

    def register(self, task: Task) -> None:
        """Do nothing: no worker is to know of it."""

    def enqueue(self, task: Task, payload: str) -> None:
        self.enqueue_many([(task, payload)])

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        enqueued = [EnqueuedTask(task, payload, self.alias) for task, payload in messages]
        for recorder in _recorders():
            recorder._take(enqueued)
        return []


_stand_ins: dict[str, _StandIn] = {}
_users = 0


def _stand_in(alias: str) -> BaseBackend | None:
    if not _recorders():
        return None
    return _stand_ins.setdefault(alias, _StandIn(alias, {}))


def _recorders() -> list[TaskRecorder]:
    return [each for each in Recorder.scope if isinstance(each, TaskRecorder)]


def _change_users(by: int) -> None:
    global _users  # noqa: PLW0603 - how many blocks there are
    with lock:
        _users += by
        backends.stand_in = _stand_in if _users else None
