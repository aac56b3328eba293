"""Reading the ``OPTIONS`` of a backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..exceptions import SettingsError


class Options:
    """Gives the values of options, checked, and refuses those that nobody knows.

    Raises:
        SettingsError: An option is unknown, or its value cannot be used.
    """

    def __init__(self, alias: str, given: Mapping[str, Any], *known: str) -> None:
        self._alias = alias
        self._given = given
        if unknown := sorted(given.keys() - set(known)):
            takes = f"It takes {', '.join(known)}" if known else "It takes none"
            raise self._error(f"unknown options: {', '.join(unknown)}. {takes}")

    def flag(self, name: str, *, default: bool) -> bool:
        """Return True or False."""
        value: bool = self._checked(name, default, _is_flag, "True or False")
        return value

    def count(self, name: str, *, default: int) -> int:
        """Return a whole number of at least 1."""
        value: int = self._checked(name, default, _is_count, "a whole number of at least 1")
        return value

    def seconds(self, name: str, *, default: float) -> float:
        """Return a number of at least 0."""
        value: float = self._checked(name, default, _is_duration, "a number of seconds")
        return value

    def _checked(
        self, name: str, default: object, is_good: Callable[[object], bool], wanted: str
    ) -> Any:
        value = self._given.get(name, default)
        if not is_good(value):
            raise self._error(f"{name}={value!r}: it has to be {wanted}")
        return value

    def _error(self, problem: str) -> SettingsError:
        return SettingsError("SIGNALS_PLUS_BACKENDS", f"gives {self._alias!r} {problem}.")


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_duration(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf  # type: ignore[operator]
