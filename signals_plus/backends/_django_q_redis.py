"""Write Django-Q2's messages to Redis, in bounded time."""

from __future__ import annotations

from collections.abc import Sequence

from django_q.brokers import redis_broker
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from ._django_q_brokers import Broker, Message
from ._publishing import STEP


class RedisBroker(Broker):
    """A list for each cluster, over connections whose time limits are not the project's.

    See Note [Writing messages ourselves]. A connection is made for each part and closed: none is
    idle, and so none has died unnoticed. ``timeout``: seconds, for both steps: to
    connect, and to be answered.
    """

    is_redis = True

    def __init__(self, timeout: float) -> None:
        self._step = timeout * STEP

    def prepare(self) -> None:
        redis_broker.Redis(list_key="")

    def write(self, messages: Sequence[Message]) -> None:
        # Made, not connected: this reads Q_CLUSTER, whichever way it names the server.
        broker = redis_broker.Redis(list_key=messages[0].cluster)
        pool = self._bounded(broker.connection.connection_pool)
        try:
            signed = [message.signed for message in messages]
            Redis(connection_pool=pool).rpush(broker.list_key, *signed)
        finally:
            pool.disconnect()

    def is_failure(self, error: Exception) -> bool:
        return isinstance(error, RedisConnectionError | RedisTimeoutError | OSError)

    def _bounded(self, pool: ConnectionPool) -> ConnectionPool:
        """Return a pool for the same server. A cache of the project may share the given one."""
        limits = {
            "socket_timeout": self._step,
            "socket_connect_timeout": self._step,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_error": [],
            "retry_on_timeout": False,
        }
        return ConnectionPool(pool.connection_class, **{**pool.connection_kwargs, **limits})
