"""The trace that a message belongs to, kept for whoever delivers and works it off later."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def current() -> str:
    """Return what says to which trace the caller belongs; empty if nobody traces.

    OpenTelemetry is asked if the project has imported it.
    """
    carrier: dict[str, str] = {}
    if propagate := _tracing("propagate"):
        propagate.inject(carrier)
    # What the project says to its own services: of any size, and nothing for who sees messages.
    carrier.pop("baggage", None)
    return json.dumps(carrier) if carrier else ""


@contextmanager
def continued(trace: str) -> Iterator[None]:
    """Let the block belong to a trace that ``current`` returned; to none, if it says none."""
    propagate = _tracing("propagate") if trace else None
    if propagate is None:
        yield
        return
    context = _tracing("context")
    token = context.attach(propagate.extract(_carrier(trace)))
    try:
        yield
    finally:
        context.detach(token)


def is_tracing() -> bool:
    """Tell whether the project has imported OpenTelemetry."""
    return "opentelemetry.trace" in sys.modules


def _tracing(name: str) -> Any:
    return import_module(f"opentelemetry.{name}") if is_tracing() else None


def _carrier(trace: str) -> dict[str, str]:
    try:
        carrier = json.loads(trace)
    except (ValueError, RecursionError):
        # The row is not as it was written: no reason to leave its work undone.
        return {}
    if not isinstance(carrier, dict):
        return {}
    return {name: value for name, value in carrier.items() if isinstance(value, str)}
