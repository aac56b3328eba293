"""Keep receivers from being called, here and now, without touching who is connected."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterable
from types import FunctionType, TracebackType
from typing import Any, Self, TypeVar, cast

from django.dispatch import Signal

from . import calling, live, mute_rules
from .exceptions import InvalidReceiverError
from .mute_rules import MuteRule

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
        self.signals = signals
        self.senders = mute_rules.listed("senders", senders)
        self.receivers = mute_rules.listed("receivers", receivers)
        self.all_threads = all_threads
        mute_rules.refuse_what_mutes_nothing(signals, self.senders, self.receivers)
        self._in_force: list[MuteRule] = []

    def __enter__(self) -> Self:
        for signal in self.signals:
            live.watch(signal, in_all_threads=self.all_threads)
        if not self.signals:
            live.watch_every_signal()
        rule = MuteRule(self.signals, self.senders, self.receivers)
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
        rule.end()
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
        if _is_unittest_class(decorated):
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

    def _decorate_unittest_class(self, decorated: Any) -> None:
        set_up_class = decorated.setUpClass.__func__
        set_up = decorated.setUp

        def setUpClass(cls: Any) -> None:
            cls.enterClassContext(self._copy())
            set_up_class(cls)

        def setUp(test: Any) -> None:
            # Again for each test: an asyncio test runs in a context older than setUpClass.
            test.enterContext(self._copy())
            set_up(test)

        decorated.setUpClass = classmethod(setUpClass)
        decorated.setUp = setUp


def _not_ended(rules: tuple[live.Rule, ...]) -> tuple[live.Rule, ...]:
    return tuple(rule for rule in rules if not rule.ended)


def _is_unittest_class(decorated: type) -> bool:
    unittest = sys.modules.get("unittest")  # not imported here: it takes as long as this package
    return unittest is not None and issubclass(decorated, unittest.TestCase)


def _is_factory(decorated: type) -> bool:
    factory_boy = sys.modules.get("factory.base")
    return factory_boy is not None and isinstance(decorated, factory_boy.FactoryMetaClass)
