"""Keep receivers from being called, here and now, without touching who is connected."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import unittest
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, TracebackType
from typing import Any, Self, TypeVar, cast

from django.apps import apps
from django.db import models
from django.db.models.signals import ModelSignal
from django.dispatch import Signal

from . import _compat, calling, live
from ._compat import make_id
from .exceptions import InvalidReceiverError

T = TypeVar("T")

# Objects may be shared by threads, and the rules of all threads are.
_lock = threading.Lock()


class mute_signals:  # noqa: N801 - used like a function, and named as factory_boy's
    """Keep receivers from being called while the block, function or class runs.

    Muted are the receivers that match all of what is given: of these signals (none given: of every
    signal), for these senders (none given: any), and only these receivers (none given: all,
    those connected by Django's own ``connect`` too). Connecting and disconnecting go on as usual: a
    receiver connected to a named signal inside the block is called, unless it is named itself.

    It holds for the current context: other threads and asyncio tasks go on unmuted, tasks started
    in the block stay muted until it ends. What was deferred to the commit before the block still
    runs. Blocks nest, may overlap and may be left by an exception.

    Works as context manager and as decorator of functions, ``async def`` functions, unittest and
    pytest classes, and factory_boy factories, where it is a drop-in for theirs. Of a unittest class
    all is muted from ``setUpClass`` to the last clean-up, of a pytest class only the tests, not its
    fixtures and set-up methods. A generator function is refused: write the block inside it.

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
        self._refuse_what_is_no_list("senders", senders)
        self._refuse_what_is_no_list("receivers", receivers)
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
        with _lock:
            self._in_force.append(rule)
            if self.all_threads:
                live.everywhere.rules += (rule,)
        if not self.all_threads:
            live.rules_here.set((*_not_ended(live.rules_here.get()), rule))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        here = live.rules_here.get()
        with _lock:
            # The newest that was begun in this context; if none was, the newest of all.
            rule = next((r for r in reversed(self._in_force) if r in here), self._in_force[-1])
            self._in_force.remove(rule)
            live.everywhere.rules = tuple(r for r in live.everywhere.rules if r is not rule)
        # Contexts that inherited the rule, and the one it was begun in, keep the object: the flag
        # ends it there too.
        rule.ended = True
        live.rules_here.set(_not_ended(here))

    def __call__(self, decorated: T) -> T:
        """Mute while the decorated function, test class or factory runs."""
        if isinstance(decorated, type):
            self._decorate_class(decorated)
            return decorated
        return cast(T, self._decorate_function(decorated))

    def _copy(self) -> mute_signals:
        return mute_signals(
            *self.signals,
            senders=self.senders,
            receivers=self.receivers,
            all_threads=self.all_threads,
        )

    def _decorate_function(self, function: Any) -> Any:
        if isinstance(function, classmethod | staticmethod):
            return type(function)(self._decorate_function(function.__func__))
        if not callable(function):
            raise InvalidReceiverError(
                "mute_signals()",
                f"decorates {function!r}, which cannot be muted",
                "Decorate a function, a test class or a factory.",
            )
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise InvalidReceiverError(
                "mute_signals()",
                f"decorates the generator function {function.__qualname__}",
                "Write the block inside it, around its yield: with mute_signals(...).",
            )
        if calling.is_async(function):

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
            # All three: as another factory's SubFactory it does not pass _generate.
            for name in ("_create", "_generate", "_after_postgeneration"):
                method = getattr(decorated, name).__func__
                setattr(decorated, name, classmethod(self._decorate_function(method)))
        else:
            self._decorate_pytest_class(decorated)

    def _decorate_pytest_class(self, decorated: type) -> None:
        # Inherited tests too. A fixture called test_something is no function. The set-up methods
        # stay as they are: pytest reads from their code how many arguments they take.
        tests = {
            name: member
            for name in dir(decorated)
            if name.startswith("test")
            and isinstance(
                member := inspect.getattr_static(decorated, name),
                FunctionType | classmethod | staticmethod,
            )
        }
        if not tests:
            raise InvalidReceiverError(
                "mute_signals()",
                f"decorates the class {decorated.__qualname__}, which has no test methods",
                "Decorate test classes, factories, or the methods themselves.",
            )
        for name, member in tests.items():
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

    def _refuse_what_is_no_list(self, name: str, value: object) -> None:
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise InvalidReceiverError(
                "mute_signals()",
                f"was given {name}={value!r}, which is no list",
                f"Write {name}=[...].",
            )

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
        if _only_models_send(self.signals):
            for sender in self.senders:
                if not isinstance(sender, str) and not _is_concrete_model(sender):
                    raise InvalidReceiverError(
                        "mute_signals()",
                        f"was given the sender {sender!r}, which never sends a model signal",
                        'Name concrete model classes or "app_label.Model".',
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
        self.senders = [_named(sender, signals) for sender in senders]
        self.receiver_ids = {make_id(receiver) for receiver in receivers}
        self.receivers = receivers  # held, so that no id is given away
        self.before = {id(signal): _compat.connections(signal) for signal in signals}

    def matches(self, signal: Signal, sender: Any) -> bool:
        return (
            not self.ended
            and (not self.signals or any(signal is muted for muted in self.signals))
            and (not self.senders or any(_is_same(sender, muted) for muted in self.senders))
        )

    def left(self, signal: Signal, receivers: list[Any]) -> list[Any]:
        """Return the receivers that are called nevertheless."""
        if self.receiver_ids:
            return [each for each in receivers if self.receiver_ids.isdisjoint(_identities(each))]
        if not self.signals:
            return []
        later = {make_id(each) for each in _compat.connected(signal, since=self.before[id(signal)])}
        return [each for each in receivers if later and not later.isdisjoint(_identities(each))]


def _not_ended(rules: tuple[live.Rule, ...]) -> tuple[live.Rule, ...]:
    return tuple(rule for rule in rules if not rule.ended)


def _named(sender: Any, signals: tuple[Signal, ...]) -> Any:
    """Return the model that a string names; the string itself if it is a sender like any other."""
    if not isinstance(sender, str):
        return sender
    try:
        return apps.get_model(sender)
    except (LookupError, ValueError) as error:
        if _only_models_send(signals):
            raise InvalidReceiverError(
                "mute_signals()",
                f"was given the sender {sender!r}, which names no model",
                'Name a model class or "app_label.Model".',
            ) from error
        return sender


def _only_models_send(signals: tuple[Signal, ...]) -> bool:
    return bool(signals) and all(isinstance(signal, ModelSignal) for signal in signals)


def _is_concrete_model(sender: object) -> bool:
    return (
        isinstance(sender, type) and issubclass(sender, models.Model) and not sender._meta.abstract
    )


def _is_same(sender: Any, muted: Any) -> bool:
    return sender is muted or (isinstance(muted, str) and sender == muted)


def _identities(receiver: Any) -> Iterator[Any]:
    """Name everything that a connected object may be known by to whoever connected it."""
    yield make_id(receiver)
    if ours := live.ours(receiver):
        yield from _identities(ours.function)
    # Decorators, and sentry-sdk, which puts a wrapper in the place of each receiver.
    if hasattr(receiver, "__wrapped__"):
        yield from _identities(receiver.__wrapped__)


def _is_factory(decorated: type) -> bool:
    factory_boy = sys.modules.get("factory.base")
    return factory_boy is not None and isinstance(decorated, factory_boy.FactoryMetaClass)
