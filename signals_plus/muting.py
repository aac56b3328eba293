"""Keep receivers from being called, here and now, without touching who is connected."""

from __future__ import annotations

import functools
import sys
import threading
import unittest
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.dispatch import Signal

from . import live
from ._compat import make_id
from .exceptions import InvalidReceiverError

T = TypeVar("T")

_everywhere_lock = threading.Lock()


class mute_signals:  # noqa: N801 - used like a function, and named as factory_boy's
    """Keep receivers from being called while the block, function or class runs.

    Muted are the receivers that match all of what is given: of these signals (none given: of every
    signal), for these senders (none given: any), and only these receivers (none given: all,
    those connected by Django's own ``connect`` too). Connecting and disconnecting go on as usual.

    It holds for the current context: other threads and asyncio tasks go on unmuted, tasks started
    in the block stay muted until it ends. What was deferred to the commit before the block still
    runs. Blocks nest, may overlap and may be left by an exception.

    Works as context manager and as decorator of functions, ``async def`` functions, unittest and
    pytest classes, and factory_boy factories, where it is a drop-in for theirs.

    Args:
        signals: The signals to mute.
        senders: Model classes, ``"app_label.Model"`` or other senders.
        receivers: Functions as they were decorated or connected.
        all_threads: Mute every thread of the process; for live-server tests.

    Raises:
        InvalidReceiverError: Nothing was named to mute, or something that is not what it should be.

    Example::

        with mute_signals(post_save, senders=[Order]):
            Order.objects.create()
    """

    def __init__(
        self,
        *signals: Signal,
        senders: Iterable[Any] = (),
        receivers: Iterable[Callable[..., Any]] = (),
        all_threads: bool = False,
    ) -> None:
        self.signals = signals
        self.senders = tuple(senders)
        self.receivers = tuple(receivers)
        self.all_threads = all_threads
        self._in_force: list[_Rule] = []
        self._refuse_what_mutes_nothing()

    def __enter__(self) -> Self:
        for signal in self.signals:
            live.watch(signal)
        if not self.signals:
            live.watch_every_signal()
        rule = _Rule(self.signals, self.senders, self.receivers)
        self._in_force.append(rule)
        if self.all_threads:
            with _everywhere_lock:
                live.everywhere.rules += (rule,)
        else:
            live.rules_here.set((*live.rules_here.get(), rule))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        rule = self._rule_to_end()
        self._in_force.remove(rule)
        # A context that inherited the rule, or was entered in another one than this, keeps the
        # object: the flag ends it there too.
        rule.ended = True
        live.rules_here.set(tuple(r for r in live.rules_here.get() if r is not rule))
        with _everywhere_lock:
            live.everywhere.rules = tuple(r for r in live.everywhere.rules if r is not rule)

    def __call__(self, decorated: T) -> T:
        """Mute while the decorated function, test class or factory runs."""
        if isinstance(decorated, type):
            self._decorate_class(decorated)
            return decorated
        return self._decorate_function(decorated)  # type: ignore[arg-type, return-value]

    def _copy(self) -> mute_signals:
        return mute_signals(
            *self.signals,
            senders=self.senders,
            receivers=self.receivers,
            all_threads=self.all_threads,
        )

    def _rule_to_end(self) -> _Rule:
        """Of the rules this object has in force, end the newest that was begun in this context."""
        here = live.rules_here.get()
        for rule in reversed(self._in_force):
            if rule in here:
                return rule
        return self._in_force[-1]

    def _decorate_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def muted(*args: Any, **kwargs: Any) -> Any:
                with self._copy():
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def muted(*args: Any, **kwargs: Any) -> Any:
                with self._copy():
                    return function(*args, **kwargs)

        return muted

    def _decorate_class(self, decorated: type) -> None:
        if issubclass(decorated, unittest.TestCase):
            self._decorate_unittest_class(decorated)
        elif _is_factory(decorated):
            for name in ("_create", "_generate", "_after_postgeneration"):
                method = getattr(decorated, name).__func__
                setattr(decorated, name, classmethod(self._decorate_function(method)))
        else:
            for name, member in list(vars(decorated).items()):
                if name.startswith("test") and callable(member):
                    setattr(decorated, name, self._decorate_function(member))

    def _decorate_unittest_class(self, decorated: type[unittest.TestCase]) -> None:
        set_up_class = decorated.setUpClass.__func__  # type: ignore[attr-defined]
        set_up = decorated.setUp

        def setUpClass(cls: type[unittest.TestCase]) -> None:
            cls.enterClassContext(self._copy())
            set_up_class(cls)

        def setUp(test: unittest.TestCase) -> None:
            # Again for each test: an asyncio test runs in a context older than setUpClass.
            test.enterContext(self._copy())
            set_up(test)

        decorated.setUpClass = classmethod(setUpClass)  # type: ignore[assignment]
        decorated.setUp = setUp  # type: ignore[assignment, method-assign]

    def _refuse_what_mutes_nothing(self) -> None:
        if not (self.signals or self.senders or self.receivers):
            raise InvalidReceiverError(
                "mute_signals()",
                "names nothing to mute",
                "Name signals, senders or receivers: mute_signals(post_save), "
                "mute_signals(receivers=[send_mail]).",
            )
        for signal in self.signals:
            if not isinstance(signal, Signal):
                raise InvalidReceiverError(
                    "mute_signals()",
                    f"was given {signal!r} as a signal",
                    "Pass signals by position, receivers as receivers=[...] and "
                    "senders as senders=[...].",
                )
        for receiver in self.receivers:
            if not callable(receiver):
                raise InvalidReceiverError(
                    "mute_signals()",
                    f"was given {receiver!r} as a receiver",
                    "Pass the functions themselves: receivers=[send_mail].",
                )


class _Rule:
    """What one block mutes, for as long as it lasts."""

    def __init__(
        self, signals: tuple[Signal, ...], senders: tuple[Any, ...], receivers: tuple[Any, ...]
    ) -> None:
        self.ended = False
        self.signals = signals
        self.senders = [
            apps.get_model(sender) if isinstance(sender, str) and "." in sender else sender
            for sender in senders
        ]
        self.receiver_ids = {make_id(receiver) for receiver in receivers}
        self.receivers = receivers  # held, so that no id is given away

    def matches(self, signal: Signal, sender: Any) -> bool:
        return (
            not self.ended
            and (not self.signals or any(signal is muted for muted in self.signals))
            and (not self.senders or any(sender is muted for muted in self.senders))
        )

    def mutes(self, receiver: Any) -> bool:
        return not self.receiver_ids or not self.receiver_ids.isdisjoint(_identities(receiver))


def _identities(receiver: Any) -> list[Any]:
    """Name everything that a connected object may be known by to whoever connected it."""
    known = [make_id(receiver)]
    if hasattr(receiver, "__wrapped__"):  # what sentry-sdk puts in its place
        known.append(make_id(receiver.__wrapped__))
    if ours := getattr(receiver, "signals_plus", None):
        known.append(make_id(ours.function))
    return known


def _is_factory(decorated: type) -> bool:
    factory_boy = sys.modules.get("factory.base")
    return factory_boy is not None and isinstance(decorated, factory_boy.FactoryMetaClass)
