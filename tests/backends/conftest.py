"""Celery apps for tests: each is the current one for a test, and leaves nothing behind."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, _state
from django.db import connections
from django.db.models.signals import post_save
from kombu.transport import memory

from signals_plus import mute_signals, receiver, receiver_task
from signals_plus.backends.handler import backends
from signals_plus.testing import capture_signals
from tests.services import (
    Gate,
    black_hole,
    broker_url,
    eventually,
    in_threads,
    refusing,
    silent_port,
)
from tests.testapp.models import Item, Tag

MakeApp = Callable[..., Celery]


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Make Celery apps, each with a queue of its own, and the newest of them the current one."""
    # Queues with a name are all apps' of the process.
    memory.Channel.queues.clear()
    memory.Transport.global_state.clear()
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


@pytest.fixture
def asked_again(failures: capture_signals) -> Callable[[], list[str]]:
    """Let many threads save a row whose broker has failed, once that may be asked again.

    Return how publishing failed where the broker was asked.
    """

    def save_in_threads() -> list[str]:
        item = Item.objects.create(name="first")
        allowed_again = time.monotonic() + 1  # the default publish_timeout
        eventually(lambda: time.monotonic() > allowed_again)

        def save(_: str) -> None:
            item.save()
            connections.close_all()

        in_threads(save, *"abcdefgh")
        errors = [str(each.kwargs["error"]) for each in failures]
        assert len(errors) == 9
        # Not by the clock: on a busy machine a save takes long for reasons of its own.
        return [error for error in errors if "BrokerNotAskedError" not in error]

    return save_in_threads


@pytest.fixture
def heard_while_muted() -> Callable[[], list[str]]:
    """Return what is heard of rows that a task and its caller save while the caller mutes them.

    A worker is not muted by what the process does that enqueues; but a receiver is that is muted
    itself when its signal is sent. To be used where tasks run in the process.
    """

    def play() -> list[str]:
        heard: list[str] = []

        def tag(sender: Any, instance: Item, **kwargs: Any) -> None:
            Tag.objects.create(name=f"by the task of {instance.name}")

        def hear(sender: Any, instance: Tag, **kwargs: Any) -> None:
            heard.append(instance.name)

        receiver_task(post_save, sender=Item, name=f"shop.{uuid.uuid4().hex}")(tag)
        receiver(post_save, sender=Tag)(hear)
        with mute_signals(post_save, senders=[Tag]):
            Item.objects.create(name="a")
            Tag.objects.create(name="by the caller")
        with mute_signals(receivers=[tag]):
            Item.objects.create(name="b")
        return heard

    return play
