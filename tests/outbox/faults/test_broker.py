"""A real broker refuses, hangs, is away for long or forgets all that it had."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import transaction
from django.db.models import F
from django.db.models.signals import post_save
from kombu import Connection

from signals_plus import receiver_task
from signals_plus.outbox.models import Message
from signals_plus.outbox.relay import Relay
from signals_plus.registry import registry
from tests.backends.conftest import MakeApp, make_app  # noqa: F401 - a fixture
from tests.outbox.conftest import committing_tests
from tests.services import (
    BROKERS,
    Gate,
    broker_url,
    closed_port,
    each_broker,
    eventually,
    payloads_in,
)
from tests.testapp.models import Item, Tag, UuidItem

pytestmark = [committing_tests, pytest.mark.services]

MakeShop = Callable[[str, str], "Shop"]

NAMES = [f"{number:02}" for number in range(20)]
# Far above what is promised (a second), and far below "for ever".
A_MOMENT = 10


def copy(sender: Any, instance: Tag, **kwargs: Any) -> None:
    Item.objects.create(name=instance.name)


class Shop:
    """Saves tags, which durable receivers copy, through one queue of a broker."""

    def __init__(self, url: str, queue: str) -> None:
        self.url = url
        self.queue = queue
        self.relay = Relay(["default"], clock=lambda: self.now)
        self.now = 0.0
        self.later: list[str] = []

    def save(self, *names: str, model: Any = Tag) -> float:
        """Save them in one transaction; return how many seconds that took."""
        start = time.monotonic()
        with transaction.atomic():
            for name in names:
                model.objects.create(name=name)
            transaction.on_commit(lambda: self.later.extend(names))
        return time.monotonic() - start

    def let_time_pass(self) -> None:
        self.now += 600
        Message.objects.update(due_at=F("created_at"))

    def take(self) -> list[str]:
        """Take all payloads out of the queue. It stays: only a new connection would declare it."""
        found = []
        with Connection(self.url) as connection, connection.channel() as channel:
            while (message := channel.basic_get(self.queue, no_ack=True)) is not None:
                found.append(channel.message_to_python(message).decode()[0][0])
        return found

    def work(self) -> None:
        for payload in self.take():
            registry[json.loads(payload)["receiver"]].run(payload)

    def effects(self) -> list[str]:
        return sorted(Item.objects.values_list("name", flat=True))

    def settle(self) -> None:
        def nothing_is_left() -> bool:
            self.let_time_pass()
            self.relay.run_once()
            self.work()
            return not Message.objects.exists()

        eventually(nothing_is_left)


@pytest.fixture
def make_shop(make_app: MakeApp, settings: Any) -> Iterator[MakeShop]:  # noqa: F811
    """Make a shop on a broker, which is reached by one URL and asked by another."""
    shops: list[Shop] = []

    def make(url: str, to_ask: str) -> Shop:
        settings.SIGNALS_PLUS_BACKENDS = {
            "default": {"BACKEND": "signals_plus.backends.celery.CeleryBackend"}
        }
        receiver_task(post_save, sender=Tag, durable=True, name="broker.copy")(copy)
        receiver_task(post_save, sender=UuidItem, durable="publish", name="broker.tell")(copy)
        shops.append(Shop(to_ask, make_app(url).conf.task_default_queue))
        return shops[-1]

    yield make
    for shop in shops:
        if shop.url in map(broker_url, BROKERS):
            payloads_in(shop.url, shop.queue)  # and the queue out of the broker


@each_broker
class TestBroker:
    @pytest.mark.parametrize("fault", ["refuses", "hangs"])
    def test_that_is_away_costs_the_request_a_moment(
        self,
        fault: str,
        kind: str,
        make_shop: MakeShop,
    ) -> None:
        """The rows are committed, what comes after the commit comes, and the work is done later."""
        with Gate(broker_url(kind)) as gate:
            shop = make_shop(gate.url, broker_url(kind))
            shop.save("first")  # over a connection that is open then
            gate.close() if fault == "refuses" else gate.freeze()

            took = shop.save("second")

            if fault == "refuses":
                gate.open()
        assert took < A_MOMENT
        assert shop.later == ["first", "second"]
        assert Message.objects.count() == 2
        with gate:
            shop.settle()
        assert shop.effects() == ["first", "second"]

    def test_that_forgets_all_that_it_had_loses_nothing(
        self,
        kind: str,
        make_shop: MakeShop,
    ) -> None:
        shop = make_shop(broker_url(kind), broker_url(kind))
        shop.save(*NAMES)
        assert len(shop.take()) == len(NAMES)  # they are gone with this

        shop.settle()

        assert shop.effects() == NAMES


class PrivateRedis:
    """A Redis of the test's own, which keeps nothing when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.port = closed_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no", "--dir", str(self._folder),
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(self._answers)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PrivateRedis]:
    one = PrivateRedis(tmp_path)
    one.start()
    yield one
    one.kill()


class TestBrokerThatIsKilled:
    def test_with_all_its_data_loses_nothing(
        self,
        broker: PrivateRedis,
        make_shop: MakeShop,
    ) -> None:
        shop = make_shop(broker.url, broker.url)
        shop.save(*NAMES)

        broker.kill()
        broker.start()

        assert shop.take() == []
        shop.settle()
        assert shop.effects() == NAMES

    def test_loses_what_was_done_when_it_had_it(
        self,
        broker: PrivateRedis,
        make_shop: MakeShop,
    ) -> None:
        """durable="publish" ends there: so it is written in the guarantees."""
        shop = make_shop(broker.url, broker.url)
        shop.save("a", model=UuidItem)

        broker.kill()
        broker.start()

        assert shop.take() == []
        assert not Message.objects.exists()

    def test_and_away_for_long_uses_up_no_attempts(
        self,
        broker: PrivateRedis,
        make_shop: MakeShop,
        settings: Any,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """However often the relay tries: one line about it, and nothing is dead."""
        settings.SIGNALS_PLUS_OUTBOX_MAX_ATTEMPTS = 2
        shop = make_shop(broker.url, broker.url)
        broker.kill()
        shop.save(*NAMES)
        shop.save("a", model=UuidItem)

        for _ in range(10):
            shop.let_time_pass()
            assert shop.relay.run_once() == 0

        assert {*Message.objects.values_list("status", "attempts")} == {(0, 0)}
        assert caplog.text.count("cannot be reached, messages wait") == 1
        broker.start()
        shop.settle()
        assert sorted(set(shop.effects())) == [*NAMES, "a"]
