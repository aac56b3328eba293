"""``recursion_guard``: a receiver does not run again for a row because of its own work."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from types import FunctionType
from typing import Any, ParamSpec, Protocol, TypeVar, overload
from weakref import WeakKeyDictionary

from django.db import models

from . import builtin, calling, lineage, live, naming
from .exceptions import InvalidReceiverError
from .links import Row

P = ParamSpec("P")
R = TypeVar("R")

# The keys under which a function stands in the lineage, by its own guard key. A block that guards
# a function that is not here would be without effect, and says so.
_keys: dict[str, set[str]] = {}

# Functions of a module by their keys, and how often a key was given: in a loop, several functions
# are defined in one line.
_given: WeakKeyDictionary[Callable[..., Any], str] = WeakKeyDictionary()
_times_given: Counter[str] = Counter()

# The attribute of a decorated function, and of whatever wraps it, with its key.
_KEY = "recursion_guard_key"

_NOT_GIVEN: Any = object()


def key_of(function: Callable[..., Any], name: str | None = None) -> str:
    """Return the key under which a receiver stands in the lineage, and remember it.

    ``name``: what the receiver is known by, in other processes too.
    """
    own_key = _own_key(function)
    key = name or own_key
    _keys.setdefault(own_key, set()).add(key)
    return key


def _own_key(function: Callable[..., Any]) -> str:
    key = naming.guard_key(function)
    if not isinstance(function, FunctionType) or not naming.is_importable(function):
        return key
    if function not in _given:
        _times_given[key] += 1
        times = _times_given[key]
        _given[function] = key if times == 1 else f"{key}#{times}"
    return _given[function]


class Guard(Protocol):
    """The decorator that ``recursion_guard(recursion=...)`` returns."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Callable[P, Coroutine[Any, Any, R | None]]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R | None]: ...


@overload
def recursion_guard(
    function: Callable[P, Coroutine[Any, Any, R]], /
) -> Callable[P, Coroutine[Any, Any, R | None]]: ...


@overload
def recursion_guard(function: Callable[P, R], /) -> Callable[P, R | None]: ...


@overload
def recursion_guard(
    function: Callable[..., Any], instance: models.Model, /, *, recursion: str = "skip"
) -> AbstractContextManager[None]: ...


@overload
def recursion_guard(*, recursion: str = "skip") -> Guard: ...


def recursion_guard(
    function: Callable[..., Any] | None = None,
    instance: models.Model = _NOT_GIVEN,
    /,
    *,
    recursion: str = "skip",
) -> Any:
    """Keep a receiver from running again for the same row because of its own work.

    As a decorator, of a receiver connected with Django's own ``receiver`` or ``connect``: while it
    runs for a row, it is not run for that row again by what it does, in this thread, after the
    commit, or in the task that its work enqueues. Other receivers and other rows are not
    concerned. Write it below the ``receiver`` line. The decorators of this package have the guard
    built in (``recursion="skip"``) and do not need it.

    As a context manager, ``recursion_guard(function, instance)``: in the block, the receiver is not
    run for that row. The function is one of this package's receivers, or carries the decorator.

    The row is the argument ``instance``, or else the first model instance among the positional
    arguments. A call without a row is not guarded.

    Args:
        function: The receiver.
        instance: The row, for the context manager.
        recursion: ``"skip"`` (return None) or ``"raise"``.

    Raises:
        RecursionLimitError: The receiver caused itself again, with ``recursion="raise"``.
        InvalidReceiverError: The function obeys no guard, or an argument is not what it should be.

    Example::

        @receiver(post_save, sender=Page)  # Django's
        @recursion_guard
        def count_words(sender, instance, **kwargs):
            instance.words = len(instance.text.split())
            instance.save()
    """
    name = naming.dotted_name(function) if callable(function) else repr(function)
    if recursion not in ("skip", "raise"):
        raise InvalidReceiverError(
            name if function is not None else "recursion_guard()",
            f"has recursion={recursion!r}",
            "Use skip or raise.",
        )
    if function is None:
        return functools.partial(_guarded, recursion=recursion)
    if instance is not _NOT_GIVEN:
        return _block(name, function, instance, recursion)
    return _guarded(function, recursion=recursion)


def _guarded(function: Callable[..., Any], *, recursion: str) -> Callable[..., Any]:
    name = naming.dotted_name(function) if callable(function) else repr(function)
    if not callable(function):
        raise InvalidReceiverError(name, "is not callable", "Decorate a function.")
    if any(live.is_connected(signal, function) for signal in builtin.ARGUMENTS):
        raise InvalidReceiverError(
            name,
            "is connected already, without the guard",
            "Write @recursion_guard below the @receiver line.",
        )
    # Not the key of the function itself: a decorator of this package above would take the guard
    # below it for a recursion.
    key = f"{_own_key(function)} with recursion_guard"
    wrap = _async_guard if calling.is_async(function) else _sync_guard
    guarded = wrap(function, key, recursion)
    setattr(guarded, _KEY, key)
    return guarded


def _sync_guard(function: Callable[..., Any], key: str, recursion: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        before = lineage.current()
        row, using = _row_among(args, kwargs), kwargs.get("using")
        if before and not lineage.is_allowed(key, row, using, recursion):
            return None
        # Not within(), which would be a third of what this takes.
        lineage.set_current(lineage.extended(before, key, row, using))
        try:
            return function(*args, **kwargs)
        finally:
            lineage.set_current(before)

    return guarded


def _async_guard(function: Callable[..., Any], key: str, recursion: str) -> Callable[..., Any]:
    async def run(chain: lineage.Chain, /, *args: Any, **kwargs: Any) -> Any:
        with lineage.within(chain):
            return await function(*args, **kwargs)

    @functools.wraps(function)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        row, using = _row_among(args, kwargs), kwargs.get("using")
        if not lineage.is_allowed(key, row, using, recursion):
            return None
        chain = lineage.extended(lineage.current(), key, row, using)
        # In a task of its own, for its context: Django 6.1 runs async receivers side by side in
        # one, where the end of this chain would be the end of theirs.
        return await asyncio.create_task(run(chain, *args, **kwargs))

    return guarded


def _row_among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> models.Model | None:
    row = kwargs.get("instance")
    if isinstance(row, models.Model):
        return row
    return next((value for value in args if isinstance(value, models.Model)), None)


def _block(
    name: str, function: Callable[..., Any], instance: models.Model, recursion: str
) -> AbstractContextManager[None]:
    keys = set(_keys.get(_own_key(function), ()))
    if hasattr(function, _KEY):
        keys.add(getattr(function, _KEY))
    if not keys:
        raise InvalidReceiverError(
            name,
            "obeys no recursion guard",
            "Decorate it with @recursion_guard, or connect it with a decorator of signals_plus. "
            "To silence one of Django's own receivers, use mute_signals(receivers=[...]).",
        )
    if not isinstance(instance, models.Model):
        raise InvalidReceiverError(
            name, f"is guarded for {instance!r}", "Give the model instance to guard it for."
        )
    row = Row.of(instance, None)
    return lineage.adding(keys, row, recursion)
