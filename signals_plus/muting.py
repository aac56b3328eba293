"""Keep receivers from being called, here and now, without touching who is connected."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from django.dispatch import Signal

from . import contexts, live, mute_rules
from .decorating import BlockDecorator
from .mute_rules import MuteRule

# Objects may be shared by threads, and the rules of all threads are. Reentrant: the garbage
# collector may close a generator with a block of its own at any time.
_lock = threading.RLock()


class mute_signals(BlockDecorator):  # noqa: N801 - used like a function, and named as factory_boy's
    """Keep receivers from being called while the block, function or class runs.

    Muted are the receivers that match all of what is given: of these signals (none given: of every
    signal), for these senders (none given: any), and only these receivers (none given: all,
    those connected by Django's own ``connect`` too). Connecting and disconnecting go on as usual: a
    receiver connected to a named signal inside the block is called, unless it is named itself.

    It holds for the current context: other threads and asyncio tasks go on unmuted, tasks started
    in the block stay muted until it ends. The task of a queue is not muted, wherever it runs. What
    was deferred to the commit before the block still runs. Blocks nest, may overlap and may be left
    by an exception.

    Works as context manager, with ``async with`` too, and as decorator of functions, ``async def``
    functions, unittest and pytest classes, and factory_boy factories, where it is a drop-in for
    theirs. Of a unittest class all is muted from ``setUpClass`` to the last clean-up, of a pytest
    class only the tests, not its fixtures and set-up methods. A generator function is refused:
    write the block inside it.

    Args:
        signals: The signals to mute.
        senders: Model classes, ``"app_label.Model"`` or other senders.
        receivers: Functions as they were decorated or connected.
        except_: Receivers of the named signals that stay alive; with signals, and instead of
            ``receivers``.
        all_threads: Mute every thread of the process; for live-server tests.

    Raises:
        InvalidReceiverError: Nothing was named to mute, or something that is not what it should be.

    Example::

        with mute_signals(post_save, senders=[Order]):
            Order.objects.create()
    """

    described = "mute_signals(...)"

    def __init__(
        self,
        *signals: Signal,
        senders: Iterable[Any] = (),
        receivers: Iterable[Callable[..., Any]] = (),
        except_: Iterable[Callable[..., Any]] = (),
        all_threads: bool = False,
    ) -> None:
        self.signals = signals
        self.senders = mute_rules.listed("senders", senders)
        self.receivers = mute_rules.listed("receivers", receivers)
        self.except_ = mute_rules.listed("except_", except_)
        self.all_threads = all_threads
        mute_rules.refuse_wrong_exceptions(signals, self.receivers, self.except_)
        mute_rules.refuse_what_mutes_nothing(signals, self.senders, self.receivers)
        self._in_force: list[MuteRule] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> mute_signals:
        """Give a test its own of what ``setUpTestData`` has kept: signals have locks."""
        return self if self._in_force else self._copy()

    def __enter__(self) -> Self:
        for signal in self.signals:
            live.watch(signal, in_all_threads=self.all_threads)
        if not self.signals:
            live.watch_every_signal()
        rule = MuteRule(self.signals, self.senders, self.receivers, self.except_)
        with _lock:
            self._in_force.append(rule)
            if self.all_threads:
                live.everywhere.rules = (*_not_ended(live.everywhere.rules), rule)
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
            rule = contexts.newest(self._in_force, here)
            self._in_force.remove(rule)
            # Contexts that inherited the rule, and the one it was begun in, keep the object: the
            # flag ends it there too.
            rule.end()
            live.everywhere.rules = _not_ended(live.everywhere.rules)
        live.rules_here.set(_not_ended(here))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *error: Any) -> None:
        self.__exit__(*error)

    def _copy(self) -> mute_signals:
        return mute_signals(
            *self.signals,
            senders=self.senders,
            receivers=self.receivers,
            except_=self.except_,
            all_threads=self.all_threads,
        )

    def _decorate_class(self, decorated: type) -> None:
        if not _is_factory(decorated):
            super()._decorate_class(decorated)
            return
        # All three: as another factory's SubFactory it does not pass _generate.
        for name in ("_create", "_generate", "_after_postgeneration"):
            method = getattr(decorated, name).__func__
            setattr(decorated, name, classmethod(self._decorate_function(method)))

    def _decorate_unittest_class(self, decorated: Any) -> None:
        # Again for each test: an asyncio test runs in a context older than setUpClass.
        super()._decorate_unittest_class(decorated)
        set_up_class = decorated.setUpClass.__func__

        def setUpClass(cls: Any) -> None:
            cls.enterClassContext(self._copy())
            set_up_class(cls)

        decorated.setUpClass = classmethod(setUpClass)


def _not_ended(rules: tuple[live.Rule, ...]) -> tuple[live.Rule, ...]:
    return tuple(rule for rule in rules if not rule.ended)


def _is_factory(decorated: type) -> bool:
    factory_boy = sys.modules.get("factory.base")
    return factory_boy is not None and isinstance(decorated, factory_boy.FactoryMetaClass)
