"""What is refused of the values of Celery's options, and what is not."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from celery import Task, signature
from django.db.models.signals import post_save
from kombu import Exchange, Queue

from signals_plus import receiver_task
from signals_plus.exceptions import InvalidReceiverError
from signals_plus.registry import registry
from signals_plus.testing import capture_signals, receivers_of
from tests.backends.conftest import MakeApp
from tests.services import broker_url, each_broker, payloads_in
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

SOON = datetime(2100, 1, 1, tzinfo=UTC)
# As long as RabbitMQ keeps a message that is to expire.
IN_YEARS = datetime.now(UTC) + timedelta(days=3650)

NO_SECONDS: tuple[Any, ...] = ("x", "5", True, math.nan, math.inf, 1e300, 10**400, timedelta(1), [])
NO_TIMES: tuple[Any, ...] = (*NO_SECONDS, -1, -0.5)
NO_TEXTS: tuple[Any, ...] = (5, b"high", ["high"])
# AMQP has no room for what is longer: these are 256 bytes.
NO_NAMES: tuple[Any, ...] = (*NO_TEXTS, "q" * 256, "ü" * 128)
NO_EXCEPTIONS: tuple[Any, ...] = (5, OSError, (5,), "OSError", [OSError()], None)


# As a worker reads it; and what JSON cannot be made of.
MAIL = {"task": "shop.mail", "args": [], "kwargs": {}, "options": {}}
ENDLESS: dict[str, Any] = {}
ENDLESS["a"] = [ENDLESS]


def each(option: str, values: Sequence[Any], wanted: str) -> list[tuple[str, Any, str]]:
    return [(option, value, wanted) for value in values]


def handle(sender: Any, **kwargs: Any) -> None: ...


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        *each("countdown", (*NO_SECONDS, -(2**31) - 1), "a number of seconds from -2147483648 to "),
        *each("time_limit", NO_TIMES, "a number of seconds from 0 to 3153600000."),
        *each("soft_time_limit", NO_TIMES, "a number of seconds from 0 to 3153600000."),
        *each("default_retry_delay", NO_TIMES, "a number of seconds from 0"),
        *each("eta", ("tomorrow", 5, timedelta(1), SOON.date(), SOON.time()), "a datetime."),
        *each(
            "expires",
            (
                object(),
                "x",
                timedelta(1),
                1e300,
                math.nan,
                True,
                0,
                -0.5,
                -5,
                datetime.max,
                3650 * 24 * 3600 + 1,
                SOON,
            ),
            "a number of seconds above 0, or a datetime, of which none is over ten years from now.",
        ),
        *each(
            "headers",
            (5, "a", ["a"], {5: "a"}, {"a": object()}, {"a": {1}}, ENDLESS),
            "a dictionary that every broker carries: texts, numbers of up to 64 bits, True,",
        ),
        *each(
            "link",
            (
                5,
                "shop.mail",
                [5],
                {},
                {"task": "shop.mail"},
                {**MAIL, "task": 3},
                {**MAIL, "options": 5},
                signature("shop.mail", args=(object(),)),
            ),
            "a signature, or a list of them, of which JSON can be made.",
        ),
        ("link_error", handle, "a signature, or a list of them"),
        *each("shadow", NO_TEXTS, "a text."),
        *each(
            "queue",
            (
                "",
                *NO_NAMES,
                Queue("q" * 256),
                Queue("q", routing_key="q" * 256),
                Queue("q", Exchange("q" * 256)),
            ),
            "the name of a queue, of at most 255 bytes, or a kombu.Queue.",
        ),
        *each("exchange", (*NO_NAMES, Exchange("q" * 256)), "the name of an exchange, of at most"),
        *each("exchange_type", NO_NAMES, "a text of at most 255 bytes."),
        *each("routing_key", NO_NAMES, "a text of at most 255 bytes."),
        *each("queue_name", ("q" * 256, "ü" * 128), "a text of at most 255 bytes."),
        *each(
            "delivery_mode",
            (3, 1.0, "forever", True, []),
            "1, 2, 'transient' or 'persistent'.",
        ),
        *each("compression", ("zip it", 5, []), "a compression that kombu has, such as 'gzip'."),
        *each("autoretry_for", NO_EXCEPTIONS, "a tuple of classes of exc"),
        *each("dont_autoretry_for", NO_EXCEPTIONS, "a tuple of classes"),
        *each(
            "throws",
            (5, [OSError], (5,), None),
            "a class of exceptions, or a tuple of them: (OSError,).",
        ),
        *each(
            "retry_kwargs",
            (5, {5: 1}, None, [("a", 1)], {"max_retries": "5"}, {"countdown": timedelta(1)}),
            "a dictionary of what retry() is to be called with: {'max_retries': 5}.",
        ),
        *each("retry_backoff", ("x", -1, 1e300, None), "True, False or a number"),
        *each("retry_backoff_max", (*NO_TIMES, None), "a number of seconds from 0"),
        *each("retry_jitter", (1, "yes", None), "True or False."),
        *each("max_retries", (-1, 2.5, "3", True), "a whole number of at"),
        *each(
            "rate_limit",
            ("many", "10/year", [], True, math.inf, -1, "-1/s", "nan/s", "inf/m"),
            "a number of at least 0, or a rate such as '100/m'.",
        ),
        *each("acks_late", ("yes", 1), "True or False."),
        ("ignore_result", "no", "True or False."),
        *each("on_failure", (5, None, OSError), "a function."),
        *each("before_start", (None, int), "a function."),
        *each("shadow_name", ("name", None, int), "a function."),
        *each("Request", (5, None), "a class, or its path"),
        *each("Strategy", (5, None, "nope"), "a class, or its path"),
    ],
)
def test_are_refused(option: str, value: Any, wanted: str, make_app: MakeApp) -> None:
    """When the receiver is connected. Celery would find out after the commit, or in the worker."""
    make_app()

    with pytest.raises(InvalidReceiverError) as raised:
        receiver_task(post_save, sender=Item, name="shop.refused", **{option: value})(handle)

    assert str(raised.value).startswith(
        f"Receiver 'shop.refused' has {option}={value!r}. Celery wants {wanted}"
    )
    assert list(registry) == []
    assert receivers_of(post_save, Item) == []


# What a broker would refuse after the commit, or a worker read as what Celery says itself.
NO_HEADERS: Mapping[str, Any] = {
    "a UUID": uuid.uuid4(), "a date": SOON.date(), "a datetime": SOON, "a time": SOON.time(),
    "a decimal": Decimal(1), "bytes": b"a", "too high": 2**63, "too low": -(2**63) - 1,
    "nan": math.nan, "inf": [math.inf], "a key": {5: "a"}, "no key": {None: "a"}, "k" * 256: "a",
    "a long key": {"ü" * 128: "a"}, "a long text": "x" * 32_000, "a set": {"a"},
    "id": "a", "task": "shop.other", "timelimit": 5, "compression": "gzip", "stamps": {},
}  # fmt: skip


@pytest.mark.parametrize("key", NO_HEADERS)
def test_headers_that_not_every_broker_carries(key: str, make_app: MakeApp) -> None:
    """RabbitMQ would refuse most of them after the commit; Redis would take them."""
    make_app()

    with pytest.raises(InvalidReceiverError, match="wants a dictionary that every broker carries"):
        receiver_task(post_save, sender=Item, name="shop.refused", headers={key: NO_HEADERS[key]})(
            handle
        )


class Bounded(Task):
    time_limit = 10


@pytest.mark.parametrize("option", ["from_config", "abstract", "request", "request_stack"])
def test_what_a_task_keeps_of_itself(option: str, make_app: MakeApp) -> None:
    """With another from_config Celery raises a bare TypeError when it starts."""
    make_app()
    options: dict[str, Any] = {option: True}

    with pytest.raises(InvalidReceiverError, match=f"has the option '{option}', which a Celery"):
        receiver_task(post_save, sender=Item, name="shop.refused", **options)(handle)


@pytest.mark.parametrize("priority", [-1, 256])
def test_priorities_that_amqp_has_no_room_for(priority: int, make_app: MakeApp) -> None:
    """They would be an error of its client, after the commit."""
    make_app()

    with pytest.raises(InvalidReceiverError, match=f"={priority}.*from 0 to 255"):
        receiver_task(post_save, sender=Item, name="shop.refused", queue_priority=priority)(handle)


def test_are_refused_before_there_is_an_app(make_app: MakeApp) -> None:
    """And once it is finalized, where Celery itself would raise a bare TypeError."""
    for is_made in (False, True):
        if is_made:
            assert make_app().tasks
        with pytest.raises(InvalidReceiverError, match="has autoretry_for=5"):
            receiver_task(post_save, sender=Item, name="shop.refused", autoretry_for=5)(handle)


def hook(self: Task, *args: Any, **kwargs: Any) -> None: ...


def named(*args: Any, **kwargs: Any) -> str:
    return "shown"


@pytest.mark.parametrize(
    "options",
    [
        {"countdown": 5}, {"countdown": 0.5}, {"countdown": -1}, {"countdown": None},
        {"countdown": 36_500 * 24 * 3600}, {"countdown": -(2**31)}, {"eta": SOON},
        {"eta": SOON.replace(tzinfo=None)},
        {"eta": SOON.isoformat()}, {"expires": 60}, {"expires": SOON - timedelta(days=36_500)},
        {"expires": IN_YEARS}, {"expires": None},
        {"expires": IN_YEARS.isoformat()}, {"countdown": 1, "expires": 3650 * 24 * 3600},
        {"headers": {}}, {"headers": {"a": [1, None, {"b": (True, 1.5)}], "b": 2**63 - 1}},
        {"headers": {"k" * 255: "x" * 30_000, "c": -(2**63)}}, {"link": [MAIL]},
        {"link": signature("shop.mail")}, {"link": [signature("shop.mail", args=(1,))]},
        {"link_error": signature("shop.mail", kwargs={"at": SOON}, options={"queue": "mail"})},
        {"shadow": "shown"}, {"queue": "high"}, {"queue": Queue("high", routing_key="high")},
        {"exchange": "high", "routing_key": "high"}, {"exchange": Exchange("high")},
        {"exchange_type": "topic"}, {"delivery_mode": 1}, {"delivery_mode": "persistent"},
        {"queue": "q" * 255}, {"queue_name": "ü" * 127}, {"routing_key": "q" * 255},
        {"queue": Queue("high", Exchange("high"), routing_key="q" * 255)},
        {"compression": "gzip"}, {"compression": "application/x-bz2"}, {"compression": None},
        {"time_limit": 30, "soft_time_limit": 2.5}, {"time_limit": 30, "soft_time_limit": 30},
        {"time_limit": 0, "soft_time_limit": 5}, {"soft_time_limit": 5, "base": Bounded},
        {"time_limit": None, "soft_time_limit": 50, "base": Bounded}, {"autoretry_for": (OSError,)},
        {"autoretry_for": [OSError, LookupError]}, {"autoretry_for": ()},
        {"autoretry_for": {OSError}, "dont_autoretry_for": (BlockingIOError,)},
        {"retry_backoff": True}, {"retry_backoff": 2, "retry_backoff_max": 60},
        {"retry_jitter": False, "retry_kwargs": {"max_retries": 5, "countdown": 1}},
        {"max_retries": 0}, {"max_retries": None}, {"default_retry_delay": 1.5},
        {"rate_limit": "100/m"}, {"rate_limit": 10}, {"rate_limit": "0.5/s"}, {"rate_limit": None},
        {"throws": OSError}, {"throws": (OSError, LookupError)}, {"throws": ()},
        {"acks_late": True, "reject_on_worker_lost": True, "track_started": False},
        {"ignore_result": True, "on_failure": hook, "after_return": hook, "shadow_name": named},
        {"queue_priority": 0}, {"queue_priority": 255}, {"run_after": timedelta(days=36_500)},
    ],
)  # fmt: skip
def test_are_published(
    options: dict[str, Any], make_app: MakeApp, failures: capture_signals
) -> None:
    """Whatever Celery takes."""
    app = make_app()
    name = f"shop.{uuid.uuid4().hex}"  # Celery keeps what a name was first given

    receiver_task(post_save, sender=Item, name=name, **options)(handle)
    Item.objects.create(name="a")

    failures.assert_not_sent()
    assert name in app.tasks


@each_broker
@pytest.mark.services
@pytest.mark.parametrize(
    "options",
    [
        # As RabbitMQ writes them, lists and floats are larger than JSON.
        {"headers": {"k" * 255: "x" * 31_000}}, {"headers": {"a": [[]] * 7_000}},
        {"headers": {"a": [1.5] * 6_000, "b": 2**63 - 1, "c": -(2**63), "d": {"e": (None, True)}}},
        {"expires": 3650 * 24 * 3600}, {"expires": IN_YEARS}, {"expires": 0.5},
        {"countdown": 36_500 * 24 * 3600}, {"countdown": -(2**31)}, {"queue_priority": 255},
        {"delivery_mode": 1}, {"soft_time_limit": 30, "time_limit": 30}, {"link": MAIL},
        {"routing_key": "k" * 255},
    ],
)  # fmt: skip
def test_are_taken_by_the_broker(
    kind: str, options: dict[str, Any], make_app: MakeApp, failures: capture_signals
) -> None:
    """Up to what the receiver is refused for."""
    url = broker_url(kind)
    app = make_app(url)

    receiver_task(post_save, sender=Item, name=f"shop.{uuid.uuid4().hex}", **options)(handle)
    Item.objects.create(name="a")

    failures.assert_not_sent()
    payloads_in(url, app.conf.task_default_queue)


@each_broker
@pytest.mark.services
def test_the_longest_name_of_a_queue(
    kind: str, make_app: MakeApp, failures: capture_signals
) -> None:
    url = broker_url(kind)
    make_app(url)
    queue = uuid.uuid4().hex.ljust(255, "q")

    receiver_task(post_save, sender=Item, name="shop.longest", queue_name=queue)(handle)
    Item.objects.create(name="a")

    failures.assert_not_sent()
    assert len(payloads_in(url, queue)) == 1
