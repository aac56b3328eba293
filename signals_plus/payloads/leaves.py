"""Values without parts as JSON text: what JSON has words for, and the tags of ``scalars``.

The text is ASCII, so that its length is its size in bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any

from . import scalars
from .faults import Fault, shown


def quote(text: str) -> str:
    """Return a string as JSON text."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Fault(
                f"is {shown(text)}, a text with a lone surrogate, which is no Unicode",
                "Send the bytes, or replace what cannot be decoded.",
            ) from error
    return encode_basestring_ascii(text)


def tagged(tag: str, data: Any) -> str:
    """Return what a scalar's writer made of it as JSON text."""
    return f'{{"{tag}":{quote(data) if type(data) is str else json.dumps(data)}}}'


def _write_int(value: int) -> str:
    if value.bit_length() > scalars.MAX_INT_BITS:
        raise Fault(
            f"is {shown(value)} (builtins.int), an integer of more than "
            f"{scalars.MAX_INT_BITS} bits",
            "Send it as text or bytes.",
        )
    return int.__repr__(value)


def _write_float(value: float) -> str:
    return float.__repr__(value) if isfinite(value) else tagged("$float", float.__repr__(value))


def _scalar_writer(tag: str, write_scalar: Callable[[Any], Any]) -> Callable[[Any], str]:
    def write_tagged(value: Any) -> str:
        try:
            return tagged(tag, write_scalar(value))
        except ValueError as error:
            raise Fault(f"is {shown(value)}: {error}", "Send it as text.") from error

    return write_tagged


LEAVES: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    int: _write_int,
    float: _write_float,
    str: quote,
    **{kind: _scalar_writer(tag, writer) for kind, (tag, writer) in scalars.WRITERS.items()},
}
