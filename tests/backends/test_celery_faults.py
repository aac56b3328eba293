"""A broker that refuses, is silent, hangs or comes back: requests neither fail nor hang.

The bounds are far above what is promised (Note [Publishing in bounded time]) and far below
"for ever": the machine may be slow. ``--log-cli-level=INFO`` shows the seconds each fault took.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.backends.celery import CeleryBackend
from signals_plus.backends.handler import backends
from signals_plus.exceptions import BackendError
from signals_plus.registry import registry
from signals_plus.signals import enqueue_failed
from signals_plus.testing import capture_signals
from tests.backends.conftest import MakeApp
from tests.services import (
    Gate,
    broker_url,
    closed_port,
    each_broker,
    eventually,
    in_threads,
    payloads_in,
    refusing,
    seconds,
    silent_port,
)
from tests.testapp.models import Item

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
]

URLS = {"redis": "redis://127.0.0.1:{port}/9", "amqp": "amqp://guest:guest@127.0.0.1:{port}//"}


def score(sender: Any, instance: Item, **kwargs: Any) -> None:
    """The task of all these tests; none of them runs it."""


def log_line(sender: Any, instance: Item, **kwargs: Any) -> None:
    """Another one."""


@pytest.fixture
def arrived(kind: str, gate: Gate, make_app: MakeApp) -> Callable[[], list[str]]:
    """Publish the events of Item through the gate; return what says which have arrived."""
    app = make_app(gate.url)
    receiver_task(post_save, sender=Item)(score)
    return lambda: payloads_in(broker_url(kind), app.conf.task_default_queue)


@each_broker
class TestBrokerThatIsNotThere:
    def test_costs_the_request_a_moment(
        self,
        kind: str,
        broken_port: int,
        make_app: MakeApp,
        failures: capture_signals,
    ) -> None:
        """The row is committed, the block goes on, and the failure is sent."""
        receiver_task(post_save, sender=Item)(score)
        make_app(URLS[kind].format(port=broken_port))

        took = seconds(lambda: Item.objects.create(name="a"))

        assert Item.objects.count() == 1
        assert len(failures) == 1
        assert took < 10

    def test_is_waited_for_once_by_many_events(
        self,
        kind: str,
        broken_port: int,
        make_app: MakeApp,
    ) -> None:
        """A thousand events of one transaction do not wait a thousand times."""
        receiver_task(post_save, sender=Item)(score)
        item = Item.objects.create(name="a")

        def save_often() -> None:
            with transaction.atomic():
                for _ in range(1000):
                    post_save.send(
                        sender=Item, instance=item, created=False, raw=False, using="default",
                        update_fields=None,
                    )  # fmt: skip

        make_app(URLS[kind].format(port=broken_port))
        with capture_signals(enqueue_failed) as failures:
            took = seconds(save_often)

        assert len(failures) == 1000
        assert took < 30

    def test_is_asked_by_one_thread_at_a_time(
        self, kind: str, make_app: MakeApp, asked_again: Callable[[], list[str]]
    ) -> None:
        """Once it has failed, the threads of a server do not all wait for it again together."""
        receiver_task(post_save, sender=Item)(score)
        with silent_port() as port:
            make_app(URLS[kind].format(port=port))

            errors = asked_again()

        assert len(errors) == 2


class TestSentinelsThatAreNotThere:
    def test_cost_the_request_a_moment_each(
        self,
        broken_port: int,
        make_app: MakeApp,
        failures: capture_signals,
    ) -> None:
        """redis-py asks a Sentinel four times, with pauses, unless it is told not to."""
        receiver_task(post_save, sender=Item)(score)
        url = f"sentinel://127.0.0.1:{broken_port}"
        make_app(f"{url};{url}", broker_transport_options={"master_name": "main"})

        took = seconds(lambda: Item.objects.create(name="a"))

        assert len(failures) == 1
        assert took < 6


class TestFailure:
    def test_is_sent_with_all_that_is_needed_to_repeat_it(
        self, make_app: MakeApp, failures: capture_signals, caplog: pytest.LogCaptureFixture
    ) -> None:
        """enqueue_failed says which receiver and payload, and the log says so too."""
        make_app(URLS["redis"].format(port=closed_port()))
        receiver_task(post_save, sender=Item)(score)

        with caplog.at_level(logging.ERROR, "signals_plus"):
            Item.objects.create(name="a")

        (failure,) = failures
        assert failure.sender is CeleryBackend
        assert failure.kwargs["receiver"] is score
        assert failure.kwargs["task_name"] == f"{__name__}.score"
        assert '"receiver":"tests.backends.test_celery_faults.score"' in failure.kwargs["payload"]
        assert isinstance(failure.kwargs["error"], BackendError)
        (record,) = [each for each in caplog.records if each.name == "signals_plus"]
        assert f"{__name__}.score" in record.getMessage()
        assert record.payload == failure.kwargs["payload"]  # type: ignore[attr-defined]

    def test_does_not_stop_later_callbacks(self, make_app: MakeApp) -> None:
        """What waits for the commit behind the task still runs, on any database."""
        make_app(URLS["redis"].format(port=closed_port()))
        receiver_task(post_save, sender=Item)(score)
        ran: list[str] = []

        with transaction.atomic(), transaction.atomic(using="other"):
            Item.objects.create(name="a")
            Item.objects.using("other").create(name="b")
            transaction.on_commit(lambda: ran.append("default"))
            transaction.on_commit(lambda: ran.append("other"), using="other")

        assert sorted(ran) == ["default", "other"]

    def test_of_a_hidden_result_store_does_not_matter(
        self, make_app: MakeApp, failures: capture_signals
    ) -> None:
        """A result store that is silent is not asked: nobody could read a result."""
        with silent_port() as port:
            app = make_app(result_backend=f"redis://127.0.0.1:{port}/9")
            receiver_task(post_save, sender=Item)(log_line)

            took = seconds(lambda: Item.objects.create(name="a"))

        assert took < 5
        failures.assert_not_sent()
        with app.connection_for_read() as connection:
            message = connection.default_channel.basic_get(app.conf.task_default_queue)
        assert message is not None


@each_broker
@pytest.mark.services
class TestBrokerThatIsBack:
    def test_gets_the_next_event(
        self,
        kind: str,
        gate: Gate,
        arrived: Callable[[], list[str]],
    ) -> None:
        """Nothing has to be restarted."""
        gate.close()
        Item.objects.create(name="lost")
        gate.open()

        def published() -> bool:
            with capture_signals(enqueue_failed) as failures:
                Item.objects.create(name="sent")
            return not failures

        assert eventually(published)
        assert len(arrived()) == 1

    def test_gets_the_event_after_it_closed_an_idle_connection(
        self,
        kind: str,
        gate: Gate,
        arrived: Callable[[], list[str]],
        failures: capture_signals,
    ) -> None:
        """A connection that was closed while nobody used it loses no event."""
        Item.objects.create(name="before")
        gate.cut()

        Item.objects.create(name="after")

        failures.assert_not_sent()
        assert gate.accepted > 1
        assert len(arrived()) == 2

    def test_gets_the_event_after_a_firewall_forgot_an_idle_connection(
        self,
        kind: str,
        gate: Gate,
        arrived: Callable[[], list[str]],
        failures: capture_signals,
    ) -> None:
        """A connection that leads nowhere is found out in time, and another one made."""
        Item.objects.create(name="before")
        gate.forget()

        took = seconds(lambda: Item.objects.create(name="after"))

        failures.assert_not_sent()
        assert took < 10
        assert len(arrived()) == 2

    def test_that_hangs_between_two_events(
        self,
        kind: str,
        gate: Gate,
        arrived: Callable[[], list[str]],
        failures: capture_signals,
    ) -> None:
        """A connection in use that falls silent costs a moment too."""
        Item.objects.create(name="before")
        gate.freeze()

        took = seconds(lambda: Item.objects.create(name="lost"))

        assert len(failures) == 1
        assert took < 10
        gate.close()
        arrived()

    def test_that_hangs_in_the_middle_of_an_answer(
        self,
        kind: str,
        gate: Gate,
        arrived: Callable[[], list[str]],
        failures: capture_signals,
    ) -> None:
        """A part of an answer is no reason to wait for the rest without a limit."""
        Item.objects.create(name="before")
        gate.stutter()

        took = seconds(lambda: Item.objects.create(name="unconfirmed"))

        assert len(failures) == 1
        assert took < 10
        gate.close()
        arrived()

    def test_is_used_by_many_threads(
        self,
        kind: str,
        gate: Gate,
        arrived: Callable[[], list[str]],
        failures: capture_signals,
    ) -> None:
        """Each message once, and no connection by two threads at a time."""
        task = registry[f"{__name__}.score"].task
        backend = backends["default"]

        def enqueue(name: str) -> None:
            for number in range(25):
                backend.enqueue(task, f"{name}{number}")

        in_threads(enqueue, *"abcdefgh")

        sent = arrived()
        assert sorted(sent) == sorted(f"{name}{n}" for name in "abcdefgh" for n in range(25))
        assert gate.accepted <= 2 * 8  # kombu makes two for Redis

    def test_keeps_its_connections(
        self, kind: str, gate: Gate, arrived: Callable[[], list[str]]
    ) -> None:
        """Ten events go through one connection."""

        Item.objects.create(name="a")
        made = gate.accepted  # kombu makes two for Redis
        for name in "bcdefghij":
            Item.objects.create(name=name)

        assert gate.accepted == made
        assert len(arrived()) == 10

    def test_gets_a_connection_of_its_own_from_a_forked_child(
        self,
        kind: str,
        gate: Gate,
        arrived: Callable[[], list[str]],
        failures: capture_signals,
    ) -> None:
        """Parent and child do not talk into each other's connection."""
        task = registry[f"{__name__}.score"].task
        backends["default"].enqueue(task, "parent")
        made = gate.accepted

        child = os.fork()
        if child == 0:
            try:
                backends["default"].enqueue(task, "child")
            except BaseException:
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        backends["default"].enqueue(task, "parent again")

        assert status == 0
        assert gate.accepted == 2 * made
        sent = arrived()
        assert sorted(sent) == ["child", "parent", "parent again"]


@pytest.mark.services
class TestBrokersInAList:
    @each_broker
    @pytest.mark.parametrize("fault", [refusing, silent_port])
    def test_are_tried_one_after_the_other(
        self,
        kind: str,
        fault: Callable[[], AbstractContextManager[int]],
        make_app: MakeApp,
        failures: capture_signals,
    ) -> None:
        """The event goes to the second broker when the first does not take it."""
        url = broker_url(kind)
        receiver_task(post_save, sender=Item)(score)
        with fault() as port:
            app = make_app(f"{URLS[kind].format(port=port)};{url}")

            took = seconds(lambda: Item.objects.create(name="a"))

        failures.assert_not_sent()
        assert took < 10
        assert len(payloads_in(url, app.conf.task_default_queue)) == 1
