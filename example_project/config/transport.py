"""A queue of files for Celery, so that the example needs no broker.

kombu's own filesystem transport writes a message in place. A worker that looks in that moment
reads half of it, and ends (https://github.com/celery/kombu/issues/1551). Here a message gets its
name when it is complete. For an example and a demo: a worker that is killed loses the message it
is working on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps

LONGEST_WAIT = 0.2  # seconds without a message, after which Celery may see to other things


class Channel(filesystem.Channel):
    """Let nobody see a half-written file."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        # In order of time: messages are taken in the order of their names.
        name = f"{time.monotonic_ns():020}_{uuid.uuid4()}"
        unfinished = Path(self.data_folder_out, f"{name}.unfinished")
        unfinished.write_text(dumps(payload))
        unfinished.replace(Path(self.data_folder_out, f"{name}.{queue}.msg"))

    def get_table(self, exchange: str) -> Any:
        with self._table_lock():
            return super().get_table(exchange)

    def _queue_bind(self, *args: Any) -> None:
        with self._table_lock():
            super()._queue_bind(*args)

    def _delete(self, *args: Any, **kwargs: Any) -> None:
        with self._table_lock():
            super()._delete(*args, **kwargs)

    @contextmanager
    def _table_lock(self) -> Iterator[None]:
        """Keep others from the table of queues: it is emptied before it is written."""
        self.control_folder.mkdir(exist_ok=True)
        with (self.control_folder / "lock").open("w") as file:
            filesystem.lock(file, filesystem.LOCK_EX)
            yield


class Transport(filesystem.Transport):
    """Use the channel above, and let a worker end quickly."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        # Celery asks for two seconds, and twice more after it was told to end.
        super().drain_events(connection, timeout=min(timeout or LONGEST_WAIT, LONGEST_WAIT))
