"""Hand messages to Celery's broker in bounded time.

# Note [Publishing in bounded time]
``task.delay()`` waits for a broker that refuses up to six seconds, and for one that accepts and
stays silent (Redis, by default) for good. With RabbitMQ it returns before the broker has the
message, and nobody hears of it when the broker then hangs. So the backend publishes through
connections of its own:

- Every wait for the network has a limit, where the transport knows one.
- RabbitMQ confirms each message, unless ``confirm_publish`` is False in the app's
  ``broker_transport_options``.
- Of many messages up to a hundred are written together, and then their answers are waited for:
  a failure of the network concerns no more.
- A connection that has been idle may have been closed, or forgotten by a firewall, since. What
  does not get through is sent again over a new connection, once. That costs duplicates, with
  the same ids, where the broker had taken messages and only its answer was lost.
- A new connection that fails is not tried again, and a connection that failed is dropped without
  the goodbye that its broker would have to answer.
- When a broker that answers objects to something among many messages, those that it is not known
  to have taken are sent again one by one, so that it is known to which. RabbitMQ answers for
  each, Redis for those of one queue together: what it took of them arrives twice.
- After a failure one thread at a time may try again, and not before ``timeout`` seconds: a
  thousand events of one transaction wait once, and so do the threads of a server.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

from celery import Celery

from ._celery_connections import Line, connect, is_unreachable, transport_errors
from ._celery_messages import Message, Published, Template, is_copyable
from ._publishing import STEP, BrokerNotAskedError, Turns

# What one failure of the network concerns, and what is held in memory: messages, characters.
MAX_TOGETHER = 100
MAX_TEXT = 1_000_000
# How many connections the messages of one task may cost: RabbitMQ closes one's channel when, for
# instance, the queue exists with other arguments.
MAX_BROKEN = 10


class Publisher:
    """The connections of this process to the broker of one Celery app.

    See Note [Publishing in bounded time]. ``timeout``: seconds, for both steps.
    """

    def __init__(self, app: Celery, timeout: float) -> None:
        self.app = app
        self._step = timeout * STEP
        self._limit = app.conf.broker_pool_limit or 0
        self._idle: deque[Line] = deque()
        self.attempt = Turns(timeout, self.is_failure).attempt

    def publish(self, messages: Sequence[Message]) -> None:
        """Mark each message as taken, or give it the error of the transport."""
        call = _Call(self)
        try:
            call.publish(messages)
        except Exception as error:  # noqa: BLE001 - the project's, as of an unknown transport
            for message in messages:
                if not message.is_taken:
                    message.error = message.error or error
        finally:
            call.end()

    def is_failure(self, error: Exception) -> bool:
        """Tell a broker that does not answer from one that objects."""
        return isinstance(error, BrokerNotAskedError) or is_unreachable(self.app, error)

    def take_idle(self) -> Line | None:
        try:
            line = self._idle.pop()
        except IndexError:
            return None
        if line.is_open:
            return line
        line.drop()
        return None

    def connect(self) -> Line:
        return connect(self.app, self._step)

    def keep(self, line: Line) -> None:
        """Keep a line for the next call, or close it."""
        if len(self._idle) < self._limit:
            self._idle.append(line)
        else:
            line.close()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().drop()


class _Call:
    """One call of ``Publisher.publish()``, which goes over one connection, or a second one."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._line: Line | None = None
        self._is_new = False
        self._templates: dict[str, Template] = {}
        self._broken_by: Counter[str] = Counter()

    def publish(self, messages: Sequence[Message]) -> None:
        together: list[Message] = []
        text = 0
        for message in messages:
            message.template = self._templates.get(message.target.task.name)
            is_full = len(together) == MAX_TOGETHER or text + len(message.payload) > MAX_TEXT
            if together and (is_full or message.template is None):
                self._publish_together(together)
                together, text = [], 0
            if message.template is None:
                self._publish_first(message, is_only=len(messages) == 1)
            else:
                together.append(message)
                text += len(message.payload)
        if together:
            self._publish_together(together)

    def end(self) -> None:
        if self._line is not None:
            self._line.producer.published = []
            self._publisher.keep(self._line)
            self._line = None

    def _publish_first(self, message: Message, *, is_only: bool) -> None:
        """Publish what Celery makes, and keep it as a template for those that follow."""
        published = self._publish_alone(message)
        task = message.target.celery_task
        if not is_only and self._line is not None and is_copyable(task):
            template = Template.of(message, published)
            if template is not None:
                self._templates[task.name] = template

    def _publish_alone(self, message: Message) -> list[Published]:
        published: list[Published] = []
        name = message.target.task.name
        if self._broken_by[name] == MAX_BROKEN:
            message.error = BrokerNotAskedError(
                f"it objected to {MAX_BROKEN} messages of this task before"
            )
            message.is_of_queue = True
            return published

        def send(line: Line) -> None:
            published.clear()
            line.producer.published = published
            try:
                message.publish(line.producer)
            except Exception as error:
                if published:
                    raise
                message.error = error  # the broker was not asked
                message.is_objection = not self._publisher.is_failure(error)
            else:
                message.is_taken = True

        error = self._publisher.attempt(lambda: self._send(send))
        if error is None:
            return published
        message.error = error
        # To a connection that is refused, no queue has answered.
        message.is_of_queue = bool(published) and not self._publisher.is_failure(error)
        if message.is_of_queue and self._line is None:
            self._broken_by[name] += 1
        return published

    def _publish_together(self, messages: list[Message]) -> None:
        def send(line: Line) -> None:
            line.send([message for message in messages if not message.is_settled])

        error = self._publisher.attempt(lambda: self._send(send, objections=False))
        for message in messages:
            if message.is_settled:
                continue
            if error is not None and self._publisher.is_failure(error):
                message.error = error
            else:
                self._publish_alone(message)

    def _send(self, send: Callable[[Line], None], *, objections: bool = True) -> None:
        """Send over an idle connection, and once more over a new one if that turns out dead."""
        if self._line is None:
            self._line = self._publisher.take_idle()
            self._is_new = False
        if self._line is not None:
            try:
                self._over(self._line, send)
            except transport_errors(self._publisher.app) as error:
                self._publisher.close()  # the others have waited as long
                if self._is_new or not (objections or self._publisher.is_failure(error)):
                    raise
            else:
                return
            self._drop()
        self._line = self._publisher.connect()
        self._is_new = True
        self._over(self._line, send)

    def _over(self, line: Line, send: Callable[[Line], None]) -> None:
        try:
            send(line)
        except BaseException as error:
            if not line.survives(error):
                self._drop()
            raise

    def _drop(self) -> None:
        if self._line is not None:
            self._line.drop()
            self._line = None
