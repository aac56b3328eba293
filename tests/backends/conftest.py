"""Celery apps for tests: each is the current one for a test, and leaves nothing behind."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, _state

from signals_plus.backends.handler import backends
from tests.services import Gate, black_hole, broker_url, refusing, silent_port

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


@pytest.fixture(params=[refusing, silent_port, black_hole])
def broken_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Stand for a broker that refuses, is silent, or drops what it is sent."""
    with request.param() as port:
        yield port


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    """Stand between the app and the real broker of the parameter ``kind``."""
    with Gate(broker_url(request.getfixturevalue("kind"))) as opened:
        yield opened
