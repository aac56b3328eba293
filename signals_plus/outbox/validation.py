"""What a durable receiver is refused at once."""

from __future__ import annotations

from .. import signatures
from ..exceptions import InvalidReceiverError
from ..options import Options
from ..validation import check_choice
from .states import EFFECT, MAX_NAME


def check(name: str, options: Options) -> None:
    """Refuse what the outbox cannot do, or promise."""
    check_choice(name, "durable", options.durable, (*EFFECT, "publish"))
    check_choice(name, "atomic", options.atomic, (True, False))
    check_choice(name, "on_dead", options.on_dead, ("block", "skip"))
    if len(name) > MAX_NAME:
        raise InvalidReceiverError(
            name, f"has a name of {len(name)} characters", f"Give it a name= of at most {MAX_NAME}."
        )
    if options.durable not in EFFECT:
        _refuse_what_needs_effect(name, options)
    if options.ordering_key is not None:
        _check_order(name, options)
    elif options.on_dead != "block":
        raise InvalidReceiverError(
            name,
            f"has on_dead={options.on_dead!r} without ordering_key=",
            "Leave it out: without an order no message waits for another.",
        )


def _refuse_what_needs_effect(name: str, options: Options) -> None:
    for keyword, value, default in (
        ("atomic", options.atomic, True),
        ("ordering_key", options.ordering_key, None),
    ):
        if value != default:
            raise InvalidReceiverError(
                name,
                f"has {keyword}={value!r} and durable={options.durable!r}",
                f'It is for durable="effect": with {options.durable!r} nobody knows when the work '
                "is done.",
            )


def _check_order(name: str, options: Options) -> None:
    signatures.check_ordering_key(name, options.ordering_key)
    for keyword, value in (
        ("batch", options.batch),
        ("coalesce", options.coalesce),
        ("run_after", options.run_after),
    ):
        if value:
            raise InvalidReceiverError(
                name,
                f"has ordering_key= and {keyword}={value!r}",
                "Leave one of them out: messages in order are one for each event, as soon as it "
                "is their turn.",
            )
