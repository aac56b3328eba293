"""Brokers for tests: the real ones, ones that misbehave, and what is in their queues."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from celery import Celery
from kombu import Connection, Message
from kombu.exceptions import OperationalError

BROKERS = {
    "redis": ("SIGNALS_PLUS_REDIS_URL", "redis://127.0.0.1:6379/9"),
    "amqp": ("SIGNALS_PLUS_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//"),
}

each_broker = pytest.mark.parametrize("kind", sorted(BROKERS))


def broker_url(kind: str) -> str:
    """Return the URL of a broker that answers; without one, skip the test, or fail in CI."""
    variable, default = BROKERS[kind]
    url = os.environ.get(variable, default)
    try:
        with Connection(url, connect_timeout=5) as connection:
            connection.ensure_connection(max_retries=0, timeout=5)
    except (OperationalError, OSError) as error:
        reason = f"no {kind} broker at {variable}={url}: {error}"
        if os.environ.get("SIGNALS_PLUS_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return url


def eventually(condition: Callable[[], Any], *, seconds: float = 30) -> Any:
    """Return what the condition returns once that is true; fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not true within {seconds} s: {condition}")
        time.sleep(0.02)
    return result


def seconds(work: Callable[[], Any]) -> float:
    """Return how long something took, and log it."""
    start = time.monotonic()
    work()
    took = time.monotonic() - start
    logging.getLogger("tests.faults").info("%.2f s", took)
    return took


def in_threads(work: Callable[..., Any], *names: str) -> None:
    """Call something in threads side by side, each with a name of its own, until all have ended."""
    threads = [threading.Thread(target=work, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def through(url: str, port: int) -> str:
    """Return the URL with the port of something that stands in for the broker."""
    parts = urlsplit(url)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{port}"))


def payloads_in(url: str, queue: str) -> list[str]:
    """Take all payloads out of a queue, and the queue out of the broker.

    Payloads are the arguments of tasks; one without an argument has none.
    """
    found: list[str] = []
    with Connection(url) as connection, connection.channel() as channel:
        while True:
            # A queue that was never declared is an error on RabbitMQ and empty on Redis.
            try:
                message = channel.basic_get(queue)
            except connection.channel_errors:
                return found
            if message is None:
                break
            found += channel.message_to_python(message).decode()[0][:1]
            channel.basic_ack(message.delivery_tag)
        channel.queue_delete(queue)
        if hasattr(channel, "client"):  # Redis keeps what the queue was bound to
            channel.client.delete(*(f"_kombu.binding{kind}.{queue}" for kind in ("", "_permanent")))
    return found


def taken(app: Celery, queue: str | None = None) -> list[Message]:
    """Take what is in a queue of a memory broker."""
    found = []
    with app.connection_for_read() as connection, connection.channel() as channel:
        name = queue or app.conf.task_default_queue
        while (message := channel.basic_get(name, no_ack=True)) is not None:
            found.append(channel.message_to_python(message))
    return found


def closed_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def refusing() -> AbstractContextManager[int]:
    """Return a port on which nothing listens, as the faults below return theirs."""
    return nullcontext(closed_port())


@contextmanager
def silent_port() -> Iterator[int]:
    """Listen on a port, let everybody in and never say a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(100)  # the kernel accepts: nobody needs to
        yield server.getsockname()[1]


@contextmanager
def black_hole() -> Iterator[int]:
    """Bind a port that answers no attempt to connect, as a firewall that drops packets."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port: int = server.getsockname()[1]
        for _ in range(20):
            client = stack.enter_context(socket.socket())
            client.settimeout(0.2)
            try:
                client.connect(("127.0.0.1", port))
            except TimeoutError:  # the backlog is full: packets are dropped from now on
                break
        else:
            pytest.skip("this system accepts connections beyond the backlog")
        yield port


class Gate:
    """Forward to a real broker, count connections, and cut, freeze or refuse them on demand."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._forgotten: list[tuple[socket.socket, socket.socket]] = []
        self._stopping = threading.Event()
        self._thawed = threading.Event()
        self._thawed.set()
        self._stutters = False
        self._action: Callable[[], Any] | None = None
        self._left = 0
        self.port = closed_port()
        self.url = through(url, self.port)
        self.accepted = 0

    def open(self) -> None:
        """Accept connections, on the same port as before."""
        self._stopping.clear()
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Refuse connections from now on, and cut those there are."""
        self._thawed.set()
        self._stopping.set()
        self._thread.join(10)
        self._server.close()
        self._cut()

    def cut(self) -> None:
        """Close all connections, as a broker that was restarted."""
        self.close()
        self.open()

    def freeze(self) -> None:
        """Keep all connections and forward nothing, as a broker that hangs."""
        self._thawed.clear()

    def stutter(self) -> None:
        """Forward all but the last byte of the broker's next answer, and hang."""
        self._stutters = True

    def when_sent(self, count: int, action: Callable[[], Any]) -> None:
        """Do something once the clients have sent this many bytes more."""
        self._action = action
        self._left = count

    def drop(self) -> None:
        """Close all connections, and accept new ones. For ``when_sent()``."""
        self._cut()

    def refuse(self) -> None:
        """Close all connections and accept no more. For ``when_sent()``."""
        self._stopping.set()
        self._server.close()
        self._cut()

    def forget(self) -> None:
        """Drop what the connections of now will say, and forward those to come."""
        self._forgotten.extend(self._pairs)
        self._pairs = []

    def __enter__(self) -> Gate:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _cut(self) -> None:
        for pair in self._pairs + self._forgotten:
            for end in pair:
                end.close()
        self._pairs = []
        self._forgotten = []

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._thawed.wait(0.02):
                continue
            peers = {end: pair[not i] for pair in self._pairs for i, end in enumerate(pair)}
            ready, _, _ = select.select([self._server, *peers], [], [], 0.02)
            for end in ready:
                if not self._thawed.is_set() or self._stopping.is_set():
                    break
                if end is self._server:
                    self.accepted += 1
                    client = self._server.accept()[0]
                    self._pairs.append((client, socket.create_connection(self._target)))
                elif any(end in pair for pair in self._pairs):  # not forgotten since
                    self._forward(end, peers[end])

    def _count_down(self, count: int) -> None:
        self._left -= count
        if self._action is not None and self._left <= 0:
            action, self._action = self._action, None
            action()

    def _forward(self, end: socket.socket, peer: socket.socket) -> None:
        try:
            data = end.recv(65536)
            if self._stutters and any(end is broker for _, broker in self._pairs):
                data = data[:-1]
                self._stutters = False
                self._thawed.clear()
            if any(end is client for client, _ in self._pairs):
                self._count_down(len(data))
            peer.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._pairs = [pair for pair in self._pairs if end not in pair]
            for each in (end, peer):
                with suppress(OSError):
                    each.close()
