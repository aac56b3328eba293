"""Hand messages to Celery's broker in bounded time.

# Note [Publishing in bounded time]
``task.delay()`` waits for a broker that refuses up to six seconds, and for one that accepts and
stays silent (Redis, by default) for good. With RabbitMQ it returns before the broker has the
message, and nobody hears of it when the broker then hangs. So the backend publishes through
connections of its own:

- Every wait for the network has a limit, where the transport knows one.
- RabbitMQ confirms each message, unless ``confirm_publish`` is False in the app's
  ``broker_transport_options``.
- A connection that has been idle may have been closed, or forgotten by a firewall, since. If the
  message does not get through it is sent again over a new connection, once. That costs a
  duplicate where the broker had taken it and only its answer was lost.
- A new connection that fails is not tried again, and a connection that failed is dropped without
  the goodbye that its broker would have to answer.
- After a failure one thread at a time may try again, and not before ``timeout`` seconds: a
  thousand events of one transaction wait once, and so do the threads of a server.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from celery import Celery
from celery import Task as CeleryTask
from kombu import Connection, Producer
from kombu.exceptions import OperationalError

AT_ONCE: Mapping[str, int] = {"interval_start": 0, "interval_step": 0, "interval_max": 0}


class BrokerNotAskedError(Exception):
    """The broker failed just now, and is not asked again yet."""


class Publisher:
    """The connections of this process to the broker of one Celery app.

    See Note [Publishing in bounded time]. ``timeout``: seconds, for each step.
    """

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._timeout = timeout
        self._idle: deque[Connection] = deque()
        self._turn = threading.Lock()
        self._ask_again_at: float | None = None

    def publish(self, task: CeleryTask, payload: str, options: Mapping[str, Any]) -> None:
        """Raise whatever the transport raises if the broker did not take the message."""
        self._take_turn()
        try:
            self._publish(task, payload, options)
        except BaseException as error:
            failed = self._is_unreachable(error)
            self._ask_again_at = time.monotonic() + self._timeout if failed else None
            raise
        self._ask_again_at = None

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().collect()

    def _is_unreachable(self, error: BaseException) -> bool:
        """Tell a broker that did not answer from an objection of the broker or the project."""
        transport = self._app.connection_for_write()
        if isinstance(error, OperationalError):  # what Celery makes of most of them
            return not isinstance(error.__cause__, transport.channel_errors)
        return isinstance(error, transport.connection_errors)

    def _take_turn(self) -> None:
        if self._ask_again_at is None:
            return
        with self._turn:
            now = time.monotonic()
            if self._ask_again_at is not None and now < self._ask_again_at:
                raise BrokerNotAskedError(
                    "it did not answer just now, and is not asked again for "
                    f"{self._timeout} s after a failure"
                )
            # The others go on without it until this attempt has ended, however it ends.
            self._ask_again_at = now + 10 * self._timeout

    def _publish(self, task: CeleryTask, payload: str, options: Mapping[str, Any]) -> None:
        connection = self._take_idle()
        if connection is not None:
            try:
                self._send(connection, task, payload, options)
            except OperationalError:
                self.close()  # the others have waited as long
            else:
                return
        self._send(self._connect(), task, payload, options)

    def _take_idle(self) -> Connection | None:
        try:
            connection = self._idle.pop()
        except IndexError:
            return None
        if connection.connected:
            return connection
        connection.collect()
        return None

    def _send(
        self, connection: Connection, task: CeleryTask, payload: str, options: Mapping[str, Any]
    ) -> None:
        try:
            task.apply_async((payload,), producer=Producer(connection), retry=False, **options)
        except BaseException:
            connection.collect()
            raise
        if len(self._idle) < (self._app.conf.broker_pool_limit or 0):
            self._idle.append(connection)
        else:
            connection.release()

    def _connect(self) -> Connection:
        connection = _bounded_connection(self._app, self._timeout)
        # Each broker of a failover list is tried once. Sentinels are asked one after the other by
        # the transport itself.
        brokers = 1 if connection.transport_cls == "sentinel" else max(1, len(connection.alt))
        try:
            connection.ensure_connection(max_retries=brokers - 1, **AT_ONCE)
            if connection.transport.driver_name == "py-amqp":
                # Not the transport's read_timeout: a frame that never ends is read for ever.
                connection.connection.sock.settimeout(self._timeout)
        except BaseException:
            connection.collect()
            raise
        return connection


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
