"""What a receiver is called: in messages, in the guard, in a queue, and on a second import."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ._compat import make_id


def dotted_name(function: Callable[..., Any]) -> str:
    """Return ``module.qualname`` of any callable, partials and callable objects included."""
    named = getattr(function, "func", function)  # functools.partial
    if not hasattr(named, "__qualname__"):
        named = type(named)
    # Built-in functions have no module.
    return f"{getattr(named, '__module__', None) or 'builtins'}.{named.__qualname__}"


def is_importable(function: Callable[..., Any]) -> bool:
    """Tell whether another process can find the function by its dotted name."""
    name = getattr(function, "__qualname__", "")
    return (
        bool(name)
        and "<" not in name
        and not inspect.ismethod(function)
        and function.__module__ != "__main__"
    )


def guard_key(function: Callable[..., Any]) -> str:
    """Name one receiver apart from all others, as stable as its kind allows.

    A function of a module is known by its name and line, since several may be called ``_``; a
    closure, a bound method or an object only by its identity.
    """
    name = dotted_name(function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    if is_importable(function) and code is not None:
        return f"{name}:{code.co_firstlineno}"
    return f"{name}:{make_id(function)}"


class Origin(NamedTuple):
    """Where a function was defined, and by which execution of its module."""

    file: str
    qualname: str
    spec: object

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Origin | None:
        """Return the origin of a module's function; None for whatever has no name of its own."""
        module = sys.modules.get(getattr(function, "__module__", None) or "")
        file = getattr(module, "__file__", None)
        if module is None or file is None or not is_importable(function):
            return None
        return cls(str(Path(file).resolve()), function.__qualname__, module.__spec__)

    def is_imported_again_as(self, other: Origin | None) -> bool:
        """Tell whether ``other`` is the same definition, run again.

        A module that is reloaded, or imported under a second name, has a new ``__spec__``; two
        definitions of one name in the same execution share it and are two receivers.
        """
        return (
            other is not None
            and (self.file, self.qualname) == (other.file, other.qualname)
            and self.spec is not other.spec
        )
