"""E009: settings of a queue of which nothing can be made, whether its server is there or not."""

from __future__ import annotations

from django.core.checks import Error

from ..exceptions import described


def unusable(what: str, error: Exception, hint: str) -> Error:
    """Return what a check says of settings for which an error was raised."""
    return Error(
        f"{what} cannot be used: {described(error)}. Each event would be lost, after its commit.",
        hint=hint,
        id="signals_plus.E009",
    )
