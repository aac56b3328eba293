"""The messages of task receivers: made by Celery, or copied from one that Celery made.

# Note [Copied messages]
To find out how a message is to be published, its options, routes, queue and headers, costs about
as much as to wait for the broker's answer. Of two messages of one task that follow one another
only the id and the payload differ. So of many messages Celery makes the first, and the others are
copies of what it gave to ``Producer.publish()``, with an id and a payload of their own.

That holds while nothing else looks at each message. ``is_copyable`` and ``Template.of`` say what
might; then Celery makes all messages, and each waits for the broker's answer. What is left to
see each copy is ``Producer.publish()``, which a tracer may have replaced.

A ``countdown`` and a relative ``expires`` count from the first message for all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any

import celery.app.amqp
import celery.app.base
import celery.app.routes
import celery.app.task
from celery import Celery, signals
from celery import Task as CeleryTask
from celery.utils.saferepr import saferepr
from kombu import Connection, Producer
from kombu.utils.uuid import uuid

from .base import Task

# The body, and the options.
Published = tuple[Any, dict[str, Any]]


class Recorder(Producer):  # type: ignore[misc]  # kombu has no types
    """A producer that writes down what it was told to publish."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.published: list[Published] = []

    def publish(self, body: Any, **options: Any) -> Any:
        self.published.append((body, options))
        return super().publish(body, **options)


@dataclass(frozen=True, slots=True)
class Target:
    """A Celery task, and what each of its messages is published with."""

    task: Task
    celery_task: CeleryTask
    options: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Message:
    """A payload on its way, and what became of it."""

    target: Target
    payload: str
    template: Template | None = None
    # Not left to Celery: it would give another one to what is sent again.
    id: str = field(default_factory=uuid)
    is_taken: bool = field(default=False, init=False)
    error: Exception | None = field(default=None, init=False)
    # Celery would not make it, and the broker was not asked.
    is_objection: bool = field(default=False, init=False)
    # The broker has answered that it does not take what is for its queue.
    is_of_queue: bool = field(default=False, init=False)

    @property
    def is_settled(self) -> bool:
        return self.is_taken or self.error is not None

    def publish(self, producer: Producer) -> None:
        """Let Celery make the message, and publish it."""
        target = self.target
        target.celery_task.apply_async(
            (self.payload,), task_id=self.id, producer=producer, retry=False, **target.options
        )

    def publish_copy(self, producer: Producer) -> None:
        if self.template is None:
            raise TypeError("a message without a template cannot be copied")
        self.template.publish(producer, self.id, self.payload)


@dataclass(frozen=True, slots=True)
class Template:
    """What Celery told a producer to publish, for others like it."""

    app: Celery
    task: CeleryTask
    embedded: tuple[Any, ...]
    headers: Mapping[str, Any]
    options: Mapping[str, Any]
    declare: tuple[Any, ...]
    begins_chain: bool

    @classmethod
    def of(cls, message: Message, published: list[Published]) -> Template | None:
        """Return None if there is more to the message than a copy would have."""
        task = message.target.celery_task
        if len(published) != 1:  # with task_send_sent_event a monitor is told of each
            return None
        body, options = published[0]
        options = dict(options)
        headers, declare = options.pop("headers"), options.pop("declare")
        own = (headers.get("id"), headers.get("argsrepr"), headers.get("ignore_result"))
        usual = (options.get("correlation_id"), _argsrepr(task.app, message.payload), True)
        if own != usual or not isinstance(body, tuple):
            return None
        return cls(
            app=task.app,
            task=task,
            embedded=body[1:],
            headers=headers,
            options=options,
            declare=tuple(declare or ()),
            begins_chain=headers["root_id"] == headers["id"],
        )

    @property
    def queue(self) -> Hashable:
        """What two messages have in common that may be for one queue."""
        if self.declare:
            return tuple(entity.name for entity in self.declare)
        return self.options.get("exchange"), self.options.get("routing_key")

    def publish(self, producer: Producer, task_id: str, payload: str) -> None:
        headers = {
            **self.headers,
            "id": task_id,
            "argsrepr": _argsrepr(self.app, payload),
        }
        if self.begins_chain:
            headers["root_id"] = task_id
        producer.publish(
            ((payload,), *self.embedded),
            **{**self.options, "headers": headers, "correlation_id": task_id},
        )
        if (parent := self.app.current_worker_task) is not None:
            result = self.task.AsyncResult(task_id)
            result.ignored = True
            parent.add_trail(result)


def is_copyable(task: CeleryTask) -> bool:
    """Tell whether nothing but Celery itself sees the messages of a task one by one."""
    app = task.app
    amqp = app.amqp
    seen_by = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)
    return (
        not any(signal.receivers for signal in seen_by)
        and _is_celerys(task.apply_async, celery.app.task)
        and _is_celerys(task.shadow_name, celery.app.task)
        and _is_celerys(app.send_task, celery.app.base)
        and type(amqp) is celery.app.amqp.AMQP
        and type(amqp.router) is celery.app.routes.Router
        and all(type(route) is celery.app.routes.MapRoute for route in amqp.router.routes)
    )


def _is_celerys(method: Callable[..., Any], module: Any) -> bool:
    # What a tracer puts in its place pretends to be it: by its names, its module, even its class.
    if type(method) is not MethodType or type(method.__func__) is not FunctionType:
        return False
    return method.__func__.__globals__ is vars(module)


def _argsrepr(app: Celery, payload: str) -> str:
    shown: str = saferepr((payload,), app.amqp.argsrepr_maxsize)
    return shown
