"""Django-Q2's Redis and other brokers: what arrives, and requests that neither fail nor hang."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.db import transaction
from django.db.models.signals import post_save
from django_q.brokers import redis_broker
from django_q.conf import Conf
from django_q.signing import SignedPackage

from signals_plus import receiver_task
from signals_plus.backends.base import Task
from signals_plus.backends.django_q import DjangoQBackend
from signals_plus.backends.handler import backends
from signals_plus.testing import capture_signals
from tests.services import Gate, broker_url, eventually, seconds, silent_port
from tests.testapp.models import Item

PATH = "signals_plus.backends.django_q.DjangoQBackend"

in_real_transactions = pytest.mark.django_db(transaction=True)


def score(sender: Any, instance: Item, **kwargs: Any) -> None:
    """The task of these tests; none of them runs it."""


A = Task(name="shop.receivers.a", function=score, run=print)


@pytest.fixture
def use(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DjangoQBackend]:
    """Let all tasks go to Django-Q2; ``conf``: what it has read of ``Q_CLUSTER``."""

    def use(conf: dict[str, Any], **options: Any) -> DjangoQBackend:
        for name, value in {"ORM": None, **conf}.items():
            monkeypatch.setattr(Conf, name, value)
        settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": PATH, "OPTIONS": options}}
        backend = backends["default"]
        assert isinstance(backend, DjangoQBackend)
        return backend

    return use


Use = Callable[..., DjangoQBackend]


@pytest.fixture
def cluster() -> Iterator[str]:
    """Return the name of a cluster that has a list of its own in Redis."""
    name = f"signals-plus-{uuid.uuid4().hex}"
    yield name
    with redis.Redis.from_url(broker_url("redis")) as client:
        client.delete(f"django_q:{name}:q", f"django_q:{name}-2:q")


def arrived(cluster: str) -> list[str]:
    """Return the payloads in a cluster's list, in the order in which they would be taken."""
    with redis.Redis.from_url(broker_url("redis")) as client:
        packages = client.lrange(f"django_q:{cluster}:q", 0, -1)
    return [SignedPackage.loads(package)["args"][1] for package in packages]


@pytest.mark.services
class TestRedis:
    def test_takes_all_in_order(self, use: Use, cluster: str) -> None:
        """Several commands, each of at most a hundred messages."""
        backend = use({"REDIS": broker_url("redis")}, cluster=cluster)
        payloads = [str(number) for number in range(250)]

        refused = backend.enqueue_many([(A, payload) for payload in payloads])

        assert refused == []
        assert arrived(cluster) == payloads

    def test_takes_large_messages_by_parts(self, use: Use, cluster: str) -> None:
        backend = use({"REDIS": broker_url("redis")}, cluster=cluster)
        payloads = [str(number) + "x" * 600_000 for number in range(3)]

        assert backend.enqueue_many([(A, payload) for payload in payloads]) == []
        assert arrived(cluster) == payloads

    def test_is_named_in_three_ways(
        self, use: Use, cluster: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A URL, keywords, and a cache of django-redis, whose own connections stay as they are."""
        url = broker_url("redis")
        shared = redis.Redis.from_url(url, socket_timeout=30)
        kwargs = dict(shared.connection_pool.connection_kwargs)
        named = {name: kwargs[name] for name in ("host", "port", "db") if name in kwargs}
        django_redis = SimpleNamespace(get_redis_connection={"queue": shared}.get)
        monkeypatch.setattr(redis_broker, "django_redis", django_redis)

        use({"REDIS": f"{url}?socket_timeout=30"}, cluster=cluster).enqueue(A, "1")
        use({"REDIS": named}, cluster=cluster).enqueue(A, "2")
        use({"REDIS": {}, "DJANGO_REDIS": "queue"}, cluster=cluster).enqueue(A, "3")

        assert arrived(cluster) == ["1", "2", "3"]
        assert shared.connection_pool.connection_kwargs == kwargs
        shared.close()

    def test_objects_to_one_cluster(self, use: Use, cluster: str) -> None:
        """A key that is no list: the others are not concerned, and it is asked again at once."""
        backend = use({"REDIS": broker_url("redis")}, cluster=cluster)
        other = A._replace(queue_name=f"{cluster}-2")
        with redis.Redis.from_url(broker_url("redis")) as client:
            client.set(f"django_q:{cluster}:q", "no list")

        refused = backend.enqueue_many([(A, "1"), (other, "2"), (A, "3")])

        assert [each.payload for each in refused] == ["1", "3"]
        assert all("wrong kind of value" in str(each.error) for each in refused)
        assert all(each.is_of_queue for each in refused)
        assert arrived(f"{cluster}-2") == ["2"]

    def test_leaves_no_connection_behind(self, use: Use, cluster: str) -> None:
        with Gate(broker_url("redis")) as gate:
            backend = use({"REDIS": gate.url}, cluster=cluster)

            backend.enqueue(A, "1")

            eventually(lambda: gate._pairs == [])
            assert gate.accepted == 1

    def test_that_comes_back(self, use: Use, cluster: str) -> None:
        """It is asked again after publish_timeout, and then at once."""
        with Gate(broker_url("redis")) as gate:
            backend = use({"REDIS": gate.url}, cluster=cluster, publish_timeout=0.3)
            gate.freeze()
            first = backend.enqueue_many([(A, "1")])
            gate.cut()
            second = backend.enqueue_many([(A, "2")])

            eventually(lambda: backend.enqueue_many([(A, "3")]) == [])
            assert backend.enqueue_many([(A, "4")]) == []

        assert "Timeout" in str(first[0].error)
        assert "BrokerNotAskedError" in str(second[0].error)
        # The first was written while nothing came back, and lost with the connection, or was not.
        assert arrived(cluster)[-2:] == ["3", "4"]


@in_real_transactions
class TestRedisThatIsNotThere:
    """The bounds are far above what is promised, and far below "for ever": see the log."""

    def test_costs_the_request_a_moment(
        self, broken_port: int, use: Use, failures: capture_signals
    ) -> None:
        """Whatever the project's own limit is: the row is saved, and the failure is sent."""
        use({"REDIS": f"redis://127.0.0.1:{broken_port}/9?socket_timeout=60"})
        receiver_task(post_save, sender=Item)(score)

        took = seconds(lambda: Item.objects.create(name="a"))

        assert Item.objects.count() == 1
        (failure,) = failures
        assert str(failure.kwargs["error"]).startswith("Backend 'default' could not enqueue: ")
        assert took < 5

    def test_is_waited_for_once_by_many_events(
        self, broken_port: int, use: Use, failures: capture_signals
    ) -> None:
        use({"REDIS": {"host": "127.0.0.1", "port": broken_port}})
        receiver_task(post_save, sender=Item)(score)

        def save_many() -> None:
            with transaction.atomic():
                for number in range(300):
                    Item.objects.create(name=str(number))

        took = seconds(save_many)

        assert len(failures) == 300
        assert took < 10

    def test_is_asked_by_one_thread_at_a_time(
        self, use: Use, asked_again: Callable[[], list[str]]
    ) -> None:
        with silent_port() as port:
            use({"REDIS": f"redis://127.0.0.1:{port}/9"})
            receiver_task(post_save, sender=Item)(score)

            errors = asked_again()

        assert len(errors) == 2


class OwnBroker:
    """A broker of the project's own."""

    taken: list[tuple[str, str]]
    seconds = 0.0

    def __init__(self, list_key: str) -> None:
        self.list_key = list_key

    def enqueue(self, package: str) -> None:
        payload = SignedPackage.loads(package)["args"][1]
        if payload == "object":
            time.sleep(self.seconds)
            raise ValueError("too large")
        self.taken.append((self.list_key, payload))


class TestOtherBrokers:
    @pytest.fixture(autouse=True)
    def _nothing_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(OwnBroker, "taken", [], raising=False)

    def test_take_one_message_after_the_other(self, use: Use) -> None:
        """One that is refused does not keep the next from being enqueued."""
        backend = use({"BROKER_CLASS": f"{__name__}.OwnBroker"}, cluster="a")

        refused = backend.enqueue_many([(A, "1"), (A, "object"), (A, "3")])

        assert OwnBroker.taken == [("a", "1"), ("a", "3")]
        assert [str(each.error) for each in refused] == [
            "Backend 'default' could not enqueue: ValueError: too large"
        ]

    def test_are_not_asked_again_when_they_were_slow(
        self, use: Use, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Their clients have limits of their own: a thousand events do not wait as often."""
        monkeypatch.setattr(OwnBroker, "seconds", 0.2)
        backend = use({"BROKER_CLASS": f"{__name__}.OwnBroker"}, publish_timeout=0.1)

        refused = backend.enqueue_many([(A, "1"), (A, "object"), (A, "3")])

        assert [each.payload for each in refused] == ["object", "3"]
        assert "too large" in str(refused[0].error)
        assert "BrokerNotAskedError" in str(refused[1].error)
        assert not any(each.is_of_queue for each in refused)
