"""Celery apps for tests: each is the current one for a test, and leaves nothing behind."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, _state

from signals_plus.backends.handler import backends

MakeApp = Callable[..., Celery]


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Make Celery apps, each with a queue of its own, and the newest of them the current one."""
    before = (_state._tls.current_app, _state.default_app)
    made: list[Celery] = []

    def make(broker: str = "memory://", task_cls: Any = None, **conf: Any) -> Celery:
        app = Celery(f"app{len(made)}", broker=broker, task_cls=task_cls)
        app.conf.update(task_default_queue=f"signals-plus-{uuid.uuid4().hex}", **conf)
        app.set_current()
        app.set_default()  # for all threads
        backends.forget()
        made.append(app)
        return app

    yield make
    backends.forget()
    for app in made:
        app.close()
    _state._tls.current_app, _state.default_app = before
