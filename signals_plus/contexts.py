"""The context of work that is handed over: what follows it there, and what does not.

The package makes its own ContextVars here, so that none of them is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_own: list[tuple[ContextVar[Any], Any]] = []
_shared: list[ContextVar[Any]] = []


def own(name: str, default: T) -> ContextVar[T]:
    """Make a ContextVar with which new work does not begin."""
    variable = ContextVar(name, default=default)
    _own.append((variable, default))
    return variable


def shared(name: str, default: T) -> ContextVar[T]:
    """Make a ContextVar with which new work does begin, as with those of others."""
    variable = ContextVar(name, default=default)
    _shared.append(variable)
    return variable


def for_new_work() -> Context:
    """Copy the current context, without the mutes, guards and lineage of the work now running.

    What others keep in it is there, such as the ids of a trace. Django's active language and time
    zone are, too, in the same thread.
    """
    context = copy_context()
    context.run(_forget_own)
    return context


@contextmanager
def new_work() -> Iterator[None]:
    """Run the block without the mutes, guards and lineage of the work that it is a part of.

    What it sets in the variables of others stays set, as where it is a worker that runs it.
    """
    before = [(variable, variable.get()) for variable, _ in _own]
    _forget_own()
    try:
        yield
    finally:
        for variable, value in before:
            variable.set(value)


def newest(begun: Sequence[T], here: Container[object]) -> T:
    """Return which of the blocks that were begun ends now: the newest of this context.

    If none was begun here, the newest of all: a block may end elsewhere than it began.
    """
    return next((each for each in reversed(begun) if each in here), begun[-1])


def taken_along() -> Callable[[], None]:
    """Return a function that gives another context what the package keeps in this one."""
    values = [(variable, variable.get()) for variable in (*(each for each, _ in _own), *_shared)]

    def take_along() -> None:
        for variable, value in values:
            variable.set(value)

    return take_along


def _forget_own() -> None:
    for variable, default in _own:
        variable.set(default)
