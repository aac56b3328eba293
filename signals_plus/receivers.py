"""The three decorators."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import Any

from django.dispatch import Signal

from .connecting import BaseReceiver
from .declaring import F, decorator
from .on_commit import OnCommitReceiver
from .options import DEFAULT_BATCH_SIZE, Options, When
from .synchronous import SynchronousReceiver

Signals = Signal | Sequence[Signal]


def receiver(
    signal: Signals,
    *,
    sender: Any = None,
    dispatch_uid: Hashable | None = None,
    priority: int = 0,
    when: When | None = None,
    raw: bool = False,
    created: bool | None = None,
    recursion: str = "skip",
) -> Callable[[F], F]:
    """Connect a function to a signal, to run at once, as Django's own ``receiver`` does.

    It differs from Django's in four ways: the connection is strong, ``async def`` functions run in
    order with the others, fixtures being loaded are left out, and the function is not run again
    for a row because of its own work. The function is returned as it was.

    Args:
        signal: A signal, or a list of them.
        sender: A model class, ``"app_label.Model"``, any other object, or a list of them. None:
            every sender.
        dispatch_uid: As Django's, but two functions under one uid are an error.
        priority: Higher runs first. Receivers connected by Django's own means count as 0; equal
            ones run in the order in which they were connected.
        when: Called with the signal's arguments when the signal is sent; the receiver runs if it
            returns something true.
        raw: Also run while fixtures are loaded.
        created: True: only for inserted rows; False: only for updated ones. For ``post_save``.
        recursion: What happens when the receiver's own work sends it the same row again:
            ``"skip"``, ``"raise"`` or ``"allow"``.

    Raises:
        InvalidReceiverError: At once, for whatever could only fail later.

    Example::

        @receiver(post_save, sender=Order, created=True)
        def reserve_stock(sender, instance, **kwargs):
            instance.product.reserve(instance.quantity)
    """
    options = Options(priority=priority, when=when, raw=raw, created=created, recursion=recursion)
    return decorator(SynchronousReceiver, signal, sender, dispatch_uid, options)


def receiver_on_commit(
    signal: Signals,
    *,
    sender: Any = None,
    using: str | None = None,
    robust: bool = True,
    coalesce: bool = False,
    batch: bool = False,
    dispatch_uid: Hashable | None = None,
    priority: int = 0,
    when: When | None = None,
    raw: bool = False,
    created: bool | None = None,
    recursion: str = "skip",
) -> Callable[[F], F]:
    """Connect a function to run after the transaction has committed.

    Nothing runs for what was rolled back. Outside a transaction it runs at once. The function gets
    the arguments as they were when the signal was sent: the instance is a copy, which later
    unsaved changes do not reach, and which has its pk after ``delete()``.

    Args:
        signal: A signal, or a list of them. Not ``pre_save``, ``pre_init``, ``post_init``,
            ``class_prepared``: no commit is about them.
        sender: As for ``receiver``.
        using: The alias of the database whose commit is waited for. None: the one the event
            concerns (the signal's ``using``, else the instance's, else the router's for the
            sender, else ``"default"``).
        robust: True: an exception is logged to ``signals_plus`` with its traceback and the next
            receivers run. False: it leaves ``atomic()``, and what waited behind it is lost, as
            with Django's own ``on_commit``.
        coalesce: True: several events of one row in one transaction become one, with the net
            effect: created wins over updated, the deletion over both, and a row that is created
            and deleted gives none. ``update_fields`` are united; the last state is delivered. Not
            for ``m2m_changed``.
        batch: True: call the function once for all events of a transaction and a sender, as
            ``fn(sender, events, using, **kwargs)`` with a list of ``Event`` in the order sent.
        dispatch_uid: As for ``receiver``.
        priority: As for ``receiver``: the order in which receivers take one event.
        when: As for ``receiver``; called when the signal is sent, not after the commit.
        raw: As for ``receiver``.
        created: As for ``receiver``.
        recursion: As for ``receiver``; the guard holds after the commit too.

    Raises:
        InvalidReceiverError: At once, for whatever could only fail later.

    Example::

        @receiver_on_commit(post_save, sender=Order, created=True)
        def send_confirmation(sender, instance, **kwargs):
            mail.send(instance.email, f"Order {instance.pk}")
    """
    options = Options(
        priority=priority, when=when, raw=raw, created=created, recursion=recursion,
        using=using, robust=robust, coalesce=coalesce, batch=batch,
    )  # fmt: skip
    return decorator(OnCommitReceiver, signal, sender, dispatch_uid, options)


def receiver_task(
    signal: Signals,
    *,
    sender: Any = None,
    backend: str = "default",
    using: str | None = None,
    queue_name: str | None = None,
    queue_priority: int | None = None,
    run_after: timedelta | None = None,
    durable: bool | str = False,
    atomic: bool = True,
    ordering_key: When | None = None,
    on_dead: str = "block",
    coalesce: bool = False,
    batch: bool = False,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_missing: str = "skip",
    name: str | None = None,
    dispatch_uid: Hashable | None = None,
    priority: int = 0,
    when: When | None = None,
    raw: bool = False,
    created: bool | None = None,
    recursion: str = "skip",
    **backend_options: Any,
) -> Callable[[F], F]:
    """Connect a function to run as a task in a worker, enqueued after the transaction commits.

    The event is written as JSON when the signal is sent, inside the transaction. The instance
    travels by model, database and primary key, and is loaded again in the worker; a deleted one
    travels as it was. When the queue cannot take the task after the commit, the request goes on:
    the failure is logged and ``signals_plus.signals.enqueue_failed`` is sent. The task is lost
    then, unless it is ``durable``.

    ``"signals_plus"`` has to be in INSTALLED_APPS, and the receiver in a module that workers
    import: a ``receivers.py`` of an installed app is found by itself.

    Args:
        signal: A signal, or a list of them.
        sender: As for ``receiver``.
        backend: An alias of ``SIGNALS_PLUS_BACKENDS``.
        using: As for ``receiver_on_commit``.
        queue_name: The queue to put the task on. None: what the queue's own routes say.
        queue_priority: The task's priority in its queue, a whole number on the queue's own scale.
        run_after: The time that has to pass after the commit, at most 36,500 days.
        durable: True, or ``"effect"``: write the task as a message to the outbox, in the same
            transaction. The worker deletes it in one transaction with what the function writes;
            until then ``manage.py relay_outbox`` enqueues it again. So the function runs at least
            once, and takes effect in that database exactly once. ``"publish"``: the message is
            done when the queue has it, for what takes effect elsewhere. Needs
            ``"signals_plus.outbox"`` in INSTALLED_APPS. False: the task can be lost.
        atomic: With ``durable="effect"``; False: run the function outside of a transaction and
            delete the message afterwards. For work of minutes; it may run more than once.
        ordering_key: With ``durable="effect"``: called with the signal's arguments when the signal
            is sent. Messages of one receiver with one key run one after the other, in the order
            written. None: in no particular order.
        on_dead: With ``ordering_key``, when a message is given up: ``"block"`` those behind it
            until a person has dealt with it, or ``"skip"`` it.
        coalesce: As for ``receiver_on_commit``.
        batch: True: send the events of a transaction in as few messages as possible, and call the
            function as ``fn(sender, events, using, **kwargs)``. The rows of a message are loaded
            with one query per model and database.
        batch_size: With ``batch=True``: events a message, at most; fewer where they would be
            larger than ``SIGNALS_PLUS_MAX_PAYLOAD_BYTES``.
        on_missing: A row is gone when the task runs: ``"skip"`` its event (logged), ``"raise"``
            its ``DoesNotExist``, or ``"none"``: pass None in its place.
        name: The task's name. None: ``module.function``. Set it to keep messages in flight
            valid when the function is renamed or moved.
        dispatch_uid: As for ``receiver``.
        priority: As for ``receiver``: the order of enqueueing, among receivers of one backend and
            with those that run after the commit. The queue's own is ``queue_priority``.
        when: As for ``receiver``; called when the signal is sent, not in the worker.
        raw: As for ``receiver``.
        created: As for ``receiver``.
        recursion: As for ``receiver``; the guard holds in the worker too.
        **backend_options: Go to the queue as they are. For Celery whatever a task takes:
            ``autoretry_for``, ``retry_backoff``, ``rate_limit``, ``acks_late``, ``countdown``, ...

    Raises:
        InvalidReceiverError: At once, for whatever could only fail later; what the queue cannot
            do, when Django starts.
        PayloadError: When the signal is sent, so that the transaction rolls back: an argument
            cannot travel.

    Example::

        @receiver_task(post_save, sender=Order, created=True, autoretry_for=(OSError,))
        def print_label(sender, instance, **kwargs):
            printer.print(instance.address)
    """
    options = Options(
        name=name, priority=priority, when=when, raw=raw, created=created, recursion=recursion,
        backend=backend, using=using, queue_name=queue_name, queue_priority=queue_priority,
        run_after=run_after,
        durable=durable, atomic=atomic, ordering_key=ordering_key, on_dead=on_dead,
        coalesce=coalesce, batch=batch, batch_size=batch_size,
        on_missing=on_missing, backend_options=backend_options,
    )  # fmt: skip
    return decorator(_kind_of_task(durable), signal, sender, dispatch_uid, options, name=name)


def _kind_of_task(durable: object) -> type[BaseReceiver]:
    # Not before it is needed: a project without tasks does not wait for the half that has to do
    # with queues, whenever it starts.
    if durable is False:
        from .tasks import TaskReceiver  # noqa: PLC0415

        return TaskReceiver
    from .outbox.receiving import DurableReceiver  # noqa: PLC0415

    return DurableReceiver
