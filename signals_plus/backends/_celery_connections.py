"""Connections to Celery's broker on which every wait has a limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import kombu.exceptions
from amqp.exceptions import MessageNacked
from celery import Celery
from kombu import Connection, Producer

from ._celery_messages import Message, Recorder

AT_ONCE: Mapping[str, int] = {"interval_start": 0, "interval_step": 0, "interval_max": 0}


class Line:
    """A connection, and how it takes many messages."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.producer = Recorder(connection)

    @property
    def is_open(self) -> bool:
        return bool(self.connection.connected)

    def send(self, messages: Sequence[Message]) -> None:
        """Publish copies, together where the transport can, and mark each that was taken."""
        producer = Producer(self.connection)
        _declare(messages, producer)
        for message in messages:
            message.publish_copy(producer)
            message.is_taken = True

    def survives(self, error: BaseException) -> bool:  # noqa: ARG002 - for those that know more
        """Tell whether the connection can be used after an error."""
        return False

    def drop(self) -> None:
        """Close without the goodbye that the broker would have to answer."""
        self.connection.collect()

    def close(self) -> None:
        self.connection.release()


class RedisLine(Line):
    """One to Redis, whose errors are answers to a command: no memory, a key of another type."""

    def send(self, messages: Sequence[Message]) -> None:
        producer = Producer(self.connection)
        if not getattr(producer, "supports_batch_publish", False):  # since kombu 5.7
            super().send(messages)
            return
        # Of a pipeline with an error kombu does not say what was taken, and all of it is sent
        # again. So each queue has its own: one that is bad costs the others no duplicates.
        objection = None
        for together in _by_queue(messages):
            try:
                _send_batch(together, producer)
            except Exception as error:
                if not self.survives(error):
                    raise
                objection = objection or error
        if objection is not None:
            raise objection

    def survives(self, error: BaseException) -> bool:
        from redis.exceptions import ResponseError  # noqa: PLC0415 - not installed for others

        return isinstance(_unwrapped(error), ResponseError)


class ConfirmedLine(Line):
    """One to RabbitMQ, which confirms many messages after the last of them is written.

    They have a channel of their own: on the other one py-amqp waits for the answer to each.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._channel: Any = None
        self._written = 0
        self._unanswered: dict[int, Message] = {}

    def send(self, messages: Sequence[Message]) -> None:
        if self._channel is None:
            self._open_channel()
        producer = Producer(self._channel)
        _declare(messages, producer)
        for message in messages:
            self._written += 1
            self._unanswered[self._written] = message
            message.publish_copy(producer)
        while self._unanswered:
            self.connection.drain_events()

    def survives(self, error: BaseException) -> bool:
        return isinstance(_unwrapped(error), MessageNacked)

    def _open_channel(self) -> None:
        self._channel = self.connection.channel()
        # Its own would wait for an answer. The class's leaves that to whoever calls it.
        del self._channel.basic_publish
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)

    def _acked(self, tag: int, multiple: bool) -> None:
        for message in self._answered(tag, multiple):
            message.is_taken = True

    def _nacked(self, tag: int, multiple: bool) -> None:
        for message in self._answered(tag, multiple):
            message.error = MessageNacked("the broker answered that it did not take the message")
            message.is_of_queue = True

    def _answered(self, tag: int, multiple: bool) -> list[Message]:
        tags = [each for each in self._unanswered if each <= tag] if multiple else [tag]
        return [self._unanswered.pop(each) for each in tags]


def transport_errors(app: Celery) -> tuple[type[Exception], ...]:
    """Return what the broker, or the way to it, makes Celery and kombu raise."""
    transport = app.connection_for_write()
    return (*WRAPPERS, *transport.connection_errors, *transport.channel_errors)


def is_unreachable(app: Celery, error: BaseException) -> bool:
    """Tell a broker that did not answer from an objection of the broker or the project."""
    transport = app.connection_for_write()
    if isinstance(error, WRAPPERS):
        return not isinstance(error.__cause__, (*transport.channel_errors, *ANSWERS))
    return isinstance(error, transport.connection_errors) and not isinstance(error, ANSWERS)


def _unwrapped(error: BaseException) -> BaseException | None:
    return error.__cause__ if isinstance(error, WRAPPERS) else error


# What Celery and kombu make of most errors of a transport.
WRAPPERS: tuple[type[Exception], ...] = (
    kombu.exceptions.OperationalError,
    # Since kombu 5.7.
    getattr(kombu.exceptions, "BatchPublishError", kombu.exceptions.OperationalError),
)

# Not what they are counted among: RabbitMQ answers that it did not take a message, and to kombu
# 5.7 a KeyError, for instance of a compression that is unknown, is a fault of Redis's connection.
ANSWERS: tuple[type[Exception], ...] = (MessageNacked, KeyError)


def connect(app: Celery, timeout: float) -> Line:
    """Make a new connection. ``timeout``: seconds, for each step."""
    connection = _bounded_connection(app, timeout)
    # Each broker of a failover list is tried once. Sentinels are asked one after the other by
    # the transport itself.
    brokers = 1 if connection.transport_cls == "sentinel" else max(1, len(connection.alt))
    try:
        connection.ensure_connection(max_retries=brokers - 1, **AT_ONCE)
        if connection.transport.driver_name != "py-amqp":
            is_redis = connection.transport.driver_type == "redis"
            return RedisLine(connection) if is_redis else Line(connection)
        # Not the transport's read_timeout: a frame that never ends is read for ever.
        connection.connection.sock.settimeout(timeout)
        confirms = connection.connection.confirm_publish
    except BaseException:
        connection.collect()
        raise
    return ConfirmedLine(connection) if confirms else Line(connection)


def _bounded_connection(app: Celery, timeout: float) -> Connection:
    """Return a connection, not yet made, with a limit on each step."""
    own: dict[str, Any] = {"max_retries": 0, **AT_ONCE}
    given = app.conf.broker_transport_options
    driver = app.connection_for_write().get_transport_cls().driver_type
    if driver == "redis":
        limits = {"socket_connect_timeout": timeout, "socket_timeout": timeout}
        own |= {**limits, "retry_on_timeout": False}
        # For the connections to Sentinels redis-py has retries of its own, with growing pauses.
        own["sentinel_kwargs"] = {
            **(given.get("sentinel_kwargs") or {}), **limits, "retry": _no_retry(),
        }  # fmt: skip
    elif driver == "amqp":
        own["confirm_publish"] = given.get("confirm_publish", True)
    return app.connection_for_write(connect_timeout=timeout, transport_options=own)


def _no_retry() -> Any:
    from redis.backoff import NoBackoff  # noqa: PLC0415 - not installed for other brokers
    from redis.retry import Retry  # noqa: PLC0415

    return Retry(NoBackoff(), 0)


def _declare(messages: Sequence[Message], producer: Producer) -> None:
    """Declare the queues, which a new connection has not done yet."""
    for template in {id(each.template): each.template for each in messages}.values():
        for entity in template.declare if template is not None else ():
            producer.maybe_declare(entity)


def _by_queue(messages: Sequence[Message]) -> Iterable[list[Message]]:
    queues: dict[Any, list[Message]] = {}
    for message in messages:
        queue = message.template.queue if message.template is not None else None
        queues.setdefault(queue, []).append(message)
    return queues.values()


def _send_batch(messages: Sequence[Message], producer: Producer) -> None:
    _declare(messages, producer)
    # The limit is in commands, of which a message may need several: all go out at the end.
    with producer.batch(max_size=100 * len(messages)):
        for message in messages:
            message.publish_copy(producer)
    for message in messages:
        message.is_taken = True
