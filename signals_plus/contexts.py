"""The context of work that is handed over: what follows it there, and what does not.

The package makes its own ContextVars here, so that none of them is forgotten.
"""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_own: list[tuple[ContextVar[Any], Any]] = []


def own(name: str, default: T) -> ContextVar[T]:
    """Make a ContextVar with which new work does not begin."""
    variable = ContextVar(name, default=default)
    _own.append((variable, default))
    return variable


def for_new_work() -> Context:
    """Copy the current context, without the mutes, guards and lineage of the work now running.

    What others keep in it is there: the ids of a trace, the active language and time zone.
    """
    context = copy_context()
    context.run(_forget_own)
    return context


def _forget_own() -> None:
    for variable, default in _own:
        variable.set(default)
