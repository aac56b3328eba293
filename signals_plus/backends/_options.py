"""Reading the ``OPTIONS`` of a backend."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..exceptions import SettingsError

UP_TO = f"up to {threading.TIMEOUT_MAX:.0f}"


class Options:
    """Gives the values of options, checked, and refuses those that nobody knows.

    Raises:
        SettingsError: An option is unknown, or its value cannot be used.
    """

    def __init__(self, alias: str, given: Mapping[str, Any], *known: str) -> None:
        self._alias = alias
        self._given = given
        # Of any kind: nobody has looked at the keys before.
        if unknown := sorted(map(str, given.keys() - set(known))):
            takes = f"It takes {', '.join(known)}" if known else "It takes none"
            raise self.error(f"unknown options: {', '.join(unknown)}. {takes}")

    def flag(self, name: str, *, default: bool) -> bool:
        """Return True or False."""
        value: bool = self._checked(name, default, _is_flag, "True or False")
        return value

    def count(self, name: str, *, default: int) -> int:
        """Return a whole number of at least 1."""
        value: int = self._checked(name, default, _is_count, "a whole number of at least 1")
        return value

    def seconds(self, name: str, *, default: float) -> float:
        """Return a number of at least 0, for which threads can wait."""
        wanted = f"a number of seconds from 0 {UP_TO}"
        value: float = self._checked(name, default, _is_duration, wanted)
        return value

    def timeout(self, name: str, *, default: float) -> float:
        """Return a number above 0, for which threads can wait."""
        wanted = f"a number of seconds above 0, {UP_TO}"
        value: float = self._checked(name, default, _is_timeout, wanted)
        return value

    def name(self, name: str, *, default: str, longest: int | None = None) -> str:
        """Return a text that is not empty, of at most ``longest`` characters."""
        wanted = "a name" if longest is None else f"a name of at most {longest} characters"
        value: str = self._checked(name, default, partial(_is_name, longest), wanted)
        return value

    def error(self, problem: str) -> SettingsError:
        """Return the error that says what is wrong with the entry of the backend."""
        return SettingsError("SIGNALS_PLUS_BACKENDS", f"gives {self._alias!r} {problem}.")

    def _checked(
        self, name: str, default: object, is_good: Callable[[object], bool], wanted: str
    ) -> Any:
        value = self._given.get(name, default)
        if not is_good(value):
            raise self.error(f"{name}={value!r}: it has to be {wanted}")
        return value


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_duration(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= threading.TIMEOUT_MAX  # type: ignore[operator]


def _is_timeout(value: object) -> bool:
    return _is_duration(value) and value != 0


def _is_name(longest: int | None, value: object) -> bool:
    return isinstance(value, str) and len(value) > 0 and (longest is None or len(value) <= longest)
