"""``recursion_guard``: a receiver does not run again for a row because of its own work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, TypeVar, cast, overload

from django.db import models

from . import _compat, builtin, calling, lineage, naming
from .exceptions import InvalidReceiverError

P = ParamSpec("P")
R = TypeVar("R")

# The keys of all receivers that obey the lineage. A block that guards anything else would be
# without effect, and says so.
_known: set[str] = set()


def key_of(function: Callable[..., Any]) -> str:
    """Return the key under which a receiver stands in the lineage, and remember it."""
    key = naming.guard_key(function)
    _known.add(key)
    return key


@overload
def recursion_guard(function: Callable[P, R], /) -> Callable[P, R | None]: ...


@overload
def recursion_guard(
    function: Callable[..., Any], instance: models.Model, /, *, recursion: str = "skip"
) -> AbstractContextManager[None]: ...


@overload
def recursion_guard(
    *, recursion: str = "skip"
) -> Callable[[Callable[P, R]], Callable[P, R | None]]: ...


def recursion_guard(
    function: Callable[..., Any] | None = None,
    instance: models.Model | None = None,
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
    if instance is not None:
        return _block(name, function, instance, recursion)
    return _guarded(function, recursion=recursion)


def _guarded(function: Callable[..., Any], *, recursion: str) -> Callable[..., Any]:
    name = naming.dotted_name(function) if callable(function) else repr(function)
    if not callable(function):
        raise InvalidReceiverError(name, "is not callable", "Decorate a function.")
    if any(_compat.is_connected(signal, function) for signal in builtin.ARGUMENTS):
        raise InvalidReceiverError(
            name,
            "is connected already, without the guard",
            "Write @recursion_guard below the @receiver line.",
        )
    # Not the key of the function itself: a decorator of this package above would take the guard
    # below it for a recursion.
    key = _key_of_decorated(key_of(function))

    def chain_for(args: tuple[Any, ...], kwargs: dict[str, Any]) -> lineage.Chain | None:
        row = kwargs.get("instance")
        if not isinstance(row, models.Model):
            row = next((value for value in args if isinstance(value, models.Model)), None)
        return lineage.extend(key, row, kwargs.get("using"), recursion)

    if calling.is_async(function):

        @functools.wraps(function)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            chain = chain_for(args, kwargs)
            if chain is not None:
                with lineage.within(chain):
                    return await function(*args, **kwargs)
            return None

    else:

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            chain = chain_for(args, kwargs)
            if chain is not None:
                with lineage.within(chain):
                    return function(*args, **kwargs)
            return None

    return cast(Callable[..., Any], guarded)


def _block(
    name: str, function: Callable[..., Any], instance: models.Model, recursion: str
) -> AbstractContextManager[None]:
    key = naming.guard_key(function)
    if key not in _known:
        raise InvalidReceiverError(
            name,
            "obeys no recursion guard",
            "Decorate it with @recursion_guard, or connect it with a decorator of signals_plus. "
            "To keep one of Django's own receivers from running, use "
            "mute_signals(receivers=[...]).",
        )
    if not isinstance(instance, models.Model):
        raise InvalidReceiverError(
            name, f"is guarded for {instance!r}", "Give the model instance to guard it for."
        )
    return _entered((key, _key_of_decorated(key)), instance, recursion)


@contextmanager
def _entered(keys: tuple[str, ...], instance: models.Model, recursion: str) -> Iterator[None]:
    row = lineage.Row.of(instance, None)
    links = tuple(lineage.Link(key, row, recursion) for key in keys)
    with lineage.within((*lineage.current(), *links)):
        yield


def _key_of_decorated(key: str) -> str:
    return f"{key} with recursion_guard"
