"""Hand jobs to Redis in bounded time.

# Note [Jobs in bounded time]
django-rq's connections wait for a Redis that stays silent for good, and try again with growing
pauses where one refuses. So the backend publishes through connections of its own, made from the
project's ``RQ_QUEUES``:

- Every step has a limit, and is done once.
- A connection that was not used for a while may have been closed, or forgotten by a firewall,
  since. It is asked for a sign of life before it is given anything, and replaced once. So nothing
  is ever sent twice.
- The jobs of a queue go out together, up to a hundred in one transaction of Redis. It answers for
  each of them. When the answer is lost, none is known to be taken.
- Not those of a queue class or a job class of the project's own, which may ask Redis something
  before it takes a job: in a transaction there is no answer. They go out one by one.
- After a failure one thread at a time may try again, and not before ``timeout`` seconds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django_rq.connection_utils import get_redis_connection
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from rq import Queue
from rq.connections import parse_connection

from ._publishing import STEP, Turns
from ._rq_queues import open_pipeline, open_queue, put
from .base import Task

Message = tuple[Task, str]

FAILURES = (RedisConnectionError, RedisTimeoutError)

# What one failure of the network concerns, and what is held in memory: jobs, characters.
MAX_TOGETHER = 100
MAX_TEXT = 1_000_000
# Connections that are kept for the next commit, and the seconds after which one is asked for a
# sign of life.
MAX_IDLE = 10
QUIET = 1.0


class Objection(NamedTuple):
    """What kept a job from being made: Redis was not asked."""

    error: Exception


Outcome = Exception | Objection | None


class Publisher:
    """The connections of this process to one Redis, for all queues that are there.

    See Note [Jobs in bounded time]. ``config``: an entry of ``RQ_QUEUES``. ``timeout``: seconds,
    for both steps.
    """

    def __init__(self, config: Mapping[str, Any], timeout: float) -> None:
        self._config = config
        self._step = timeout * STEP
        self._idle: deque[tuple[Redis, float]] = deque()
        self._turns = Turns(timeout, lambda error: isinstance(error, FAILURES))

    def publish(
        self, queue_name: str, messages: Sequence[Message], *, together: bool
    ) -> list[Outcome]:
        """Return what became of each message: None if Redis has taken it."""
        outcomes: list[Outcome] = []
        for chunk in _chunks(messages, MAX_TOGETHER if together else 1):
            known: list[Outcome] = []
            error = self._turns.attempt(
                lambda known=known, chunk=chunk: known.extend(  # type: ignore[misc]
                    self._send(queue_name, chunk, together=together)
                )
            )
            outcomes += known if error is None else [error] * len(chunk)
        return outcomes

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop()[0].connection_pool.disconnect()

    def _send(
        self, queue_name: str, messages: Sequence[Message], *, together: bool
    ) -> list[Outcome]:
        with self._client() as client:
            queue = open_queue(queue_name, client)
            if together:
                return _put_together(queue, messages)
            return [_put_alone(queue, *message) for message in messages]

    @contextmanager
    def _client(self) -> Iterator[Redis]:
        client = self._take_idle() or connect(self._config, self._step)
        try:
            yield client
        except BaseException:
            client.connection_pool.disconnect()
            raise
        if len(self._idle) < MAX_IDLE:
            self._idle.append((client, time.monotonic()))
        else:
            client.connection_pool.disconnect()

    def _take_idle(self) -> Redis | None:
        try:
            client, used_at = self._idle.pop()
        except IndexError:
            return None
        if time.monotonic() - used_at > QUIET:
            try:
                client.ping()
            except FAILURES:
                client.connection_pool.disconnect()
                self.close()  # the others have waited as long
                return None
        return client


def connect(config: Mapping[str, Any], timeout: float) -> Redis:
    """Return a client with a limit on each step, which connects when it is used.

    django-rq reads the configuration. Its client is not touched: it may be that of a cache.
    """
    limits = {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    # Sentinels are asked through clients of their own.
    sentinel_kwargs = {**config.get("SENTINEL_KWARGS", {}), **limits}
    given = get_redis_connection({**config, "SENTINEL_KWARGS": sentinel_kwargs})
    client_class, connection_class, kwargs = parse_connection(given)
    pool = ConnectionPool(connection_class=connection_class, **{**kwargs, **limits})
    return client_class(connection_pool=pool)


def _put_alone(queue: Queue, task: Task, payload: str) -> Outcome:
    try:
        put(queue, task, payload)
    except RedisError:
        raise
    except Exception as error:  # noqa: BLE001 - of a queue or job class of the project's
        return Objection(error)
    return None


def _put_together(queue: Queue, messages: Sequence[Message]) -> list[Outcome]:
    # Asked for here, where it can fail as a whole.
    version = queue.get_redis_server_version()
    kept = open_pipeline(queue.name, queue.connection, version)
    pipeline = kept.connection
    outcomes: list[Objection | slice] = []
    for task, payload in messages:
        start = len(pipeline)
        try:
            put(kept, task, payload, pipeline)
        except Exception as error:  # noqa: BLE001 - of the queue's serializer
            del pipeline.command_stack[start:]
            outcomes.append(Objection(error))
        else:
            outcomes.append(slice(start, len(pipeline)))
    answers = pipeline.execute(raise_on_error=False)
    return [
        _first_error(answers[outcome]) if isinstance(outcome, slice) else outcome
        for outcome in outcomes
    ]


def _first_error(answers: Sequence[Any]) -> Exception | None:
    return next((answer for answer in answers if isinstance(answer, Exception)), None)


def _chunks(messages: Sequence[Message], limit: int) -> Iterator[list[Message]]:
    """Yield what goes out together."""
    chunk: list[Message] = []
    text = 0
    for message in messages:
        text += len(message[1])
        if len(chunk) == limit or (chunk and text > MAX_TEXT):
            yield chunk
            chunk, text = [], len(message[1])
        chunk.append(message)
    if chunk:
        yield chunk
