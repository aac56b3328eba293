"""A receiver that runs in a worker: its sending side and its working side."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.dispatch import Signal

from . import events, guards, lineage, payloads, validation
from .backends.base import Task
from .backends.handler import backends
from .commit import collect
from .conf import settings
from .connecting import BaseReceiver
from .exceptions import BackendError
from .options import TaskOptions
from .registry import registry
from .signals import enqueue_failed

logger = logging.getLogger("signals_plus")

_reporting: ContextVar[bool] = ContextVar("signals_plus_reporting", default=False)


class TaskReceiver(BaseReceiver):
    """Write each event as a payload when it is sent, enqueue it once it is committed."""

    options: TaskOptions

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Its name: a key from the function's line or identity means nothing in another process.
        self.guard_key = guards.key_of(self.function, self.name)
        self.task = Task(
            name=self.name,
            function=self.function,
            run=self.run,
            queue_name=self.options.queue_name,
            run_after=self.options.run_after,
            options=self.options.backend_options,
        )

    def validate(self) -> None:
        super().validate()
        validation.check_deferrable(self.name, self.signals)
        validation.check_task(self.name, self.function, self.options, self.signals)
        registry.refuse_taken_name(self)

    def about_to_connect(self) -> None:
        if registry.is_live:
            self.register()

    def connected(self) -> None:
        registry.add(self)

    def register(self) -> None:
        """Make the receiver known to its queue."""
        backends[self.options.backend].register(self.task)

    def dispatch(
        self, signal: Signal, sender: Any, kwargs: Mapping[str, Any], chain: lineage.Chain
    ) -> None:
        if None in self.senders and _is_excluded(sender):
            return
        # Whatever can be wrong is found here, where the transaction can still roll back.
        registry.require_live()
        backends[self.options.backend].validate_task(self.task)
        payload = payloads.encode(
            self.name,
            signal=payloads.signal_label(self.signals, signal),
            sender=sender,
            kwargs=kwargs,
            chain=chain,
        )
        collect(self, payload, using=events.wait_alias(self.options.using, sender, kwargs))

    def deliver(self, items: Sequence[str]) -> None:
        backend = backends[self.options.backend]
        for refused in backend.enqueue_many([(self.task, payload) for payload in items]):
            logger.error(
                "Task %s was not enqueued: %s",
                self.name,
                refused.error,
                extra={"payload": refused.payload},
            )
            self._report(type(backend), refused.payload, refused.error)

    def run(self, payload: str) -> None:
        """Call the function in a worker, with its rows loaded and its lineage restored.

        Runs the receiver registered under the name now: the queue may hold an older one of a
        module that was imported again.
        """
        receiver = registry[self.name]
        message = payloads.decode(receiver.name, payload)
        signal = payloads.signal_of(receiver.name, receiver.signals, message.signal)
        try:
            kwargs = payloads.load(message, receiver._replace_missing)
        except _SkipTask as skip:
            logger.info("Task %s skipped: %s", receiver.name, skip)
            return
        with lineage.within(message.chain):
            receiver.call(signal=signal, sender=message.sender, **kwargs)

    def _report(self, backend: type, payload: str, error: BackendError) -> None:
        if _reporting.get():
            return  # a receiver of the signal has saved a row, for which the queue is down as well
        _reporting.set(True)
        try:
            enqueue_failed.send_robust(
                sender=backend,
                receiver=self.function,
                task_name=self.name,
                payload=payload,
                error=error,
            )
        except Exception:
            # Not the receiver's own: Django cannot log the failure of one without a name.
            logger.exception("A receiver of enqueue_failed failed for task %s", self.name)
        finally:
            _reporting.set(False)

    def _replace_missing(self, error: ObjectDoesNotExist) -> None:
        if self.options.on_missing == "raise":
            raise error
        if self.options.on_missing == "skip":
            raise _SkipTask(str(error)) from error


class _SkipTask(Exception):  # noqa: N818 - no error: the row is gone, as the receiver allows
    pass


def _is_excluded(sender: Any) -> bool:
    if not (isinstance(sender, type) and issubclass(sender, models.Model)):
        return False
    excluded = settings.excluded_senders
    # Proxies and children too, and a session model of the project's own.
    return any(
        base._meta.app_label in excluded
        or base._meta.label_lower in excluded
        or ("sessions" in excluded and base.__module__ == "django.contrib.sessions.base_session")
        for base in sender.__mro__
        if issubclass(base, models.Model) and base is not models.Model
    )
