"""The chain of (receiver, row) that caused the work now running.

It lives in a ContextVar, is captured with every event, and is set again around the receiver:
after the commit, and in the worker, where it arrives inside the payload.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from . import contexts
from .conf import settings
from .exceptions import RecursionLimitError
from .links import Block, Link, Others, Row

RECURSION_MODES = ("skip", "raise", "allow")

Chain = tuple[Link, ...]

_NONE: Chain = ()

_current = contexts.own("signals_plus_lineage", _NONE)


# The chain that caused the work now running; empty outside of any receiver. These two, and not
# functions around them: they are called for every event. Never reset(token): that fails when a
# block ends in another context than it began in.
current = _current.get
set_current = _current.set


def is_allowed(receiver: str, instance: object, using: str | None, recursion: str) -> bool:
    """Tell whether a receiver may run as work of the current chain.

    Raises:
        RecursionLimitError: It ran for this row already and was told to raise, or the chain has
            reached its limit.
    """
    chain = current()
    if not chain:
        return True
    row = Row.of(instance, using)
    if row is not None:
        # The innermost: a block inside the receiver's own work goes before what it says itself.
        earlier = next((link for link in chain[::-1] if link.is_for(receiver, row, instance)), None)
        block = None if earlier is None else earlier.block
        mode = recursion if block is None else block.recursion
        if earlier is not None and mode == "skip":
            return False
        if earlier is not None and mode == "raise":
            raise RecursionLimitError(
                receiver,
                f"was caused again by its own work on {row.key}",
                [*map(str, chain), str(Link(receiver, row))],
                'Do not save the row again in that work, or use recursion="skip".',
            )
    limit = settings.max_chain_depth
    if len(chain) >= limit:
        raise RecursionLimitError(
            receiver,
            f"would be number {len(chain) + 1} in a chain of at most {limit} receivers",
            [str(link) for link in chain],
            "End the chain with when=, or raise SIGNALS_PLUS_MAX_CHAIN_DEPTH if it is meant.",
        )
    return True


def extended(chain: Chain, receiver: str, instance: object, using: str | None) -> Chain:
    """Return the chain under which the receiver runs."""
    link = tuple.__new__(Link, (receiver, Row.of(instance, using), None, None))
    return (*chain, link)


def extended_by_batch(chain: Chain, receiver: str, rows: Iterable[Row | None]) -> Chain:
    """Return the chain under which the receiver runs for many rows at once."""
    return (*chain, Link(receiver, None, others=Others(receiver, rows)))


def union(chains: Iterable[Chain]) -> Chain:
    """Return one chain for all: as deep as the deepest, and with the rows of every one."""
    distinct = list({id(chain): chain for chain in chains}.values())
    deepest = max(distinct, key=len, default=())
    # Each link once: those of a batch are shared by all that it causes.
    links = {id(link): link for chain in distinct if chain is not deepest for link in chain}
    for link in deepest:
        links.pop(id(link), None)
    others = frozenset(pair for link in links.values() for pair in link.pairs())
    if not others:
        return deepest
    last = deepest[-1]
    return (*deepest[:-1], last._replace(others=Others("", (), others.union(last.others or ()))))


@contextmanager
def adding(receivers: Iterable[str], row: Row | None, recursion: str) -> Iterator[None]:
    """Run the block as if these receivers had caused it, whatever else changes the chain."""
    block = Block(recursion)
    set_current((*current(), *(Link(key, row, block) for key in receivers)))
    try:
        yield
    finally:
        # Tasks that were started in the block have a chain of their own, and go on.
        block.has_ended = True
        # Only these are taken out: Django 6.1 runs async receivers side by side in one context.
        set_current(tuple(link for link in current() if link.block is not block))


class within:  # noqa: N801 - used like a function
    """Run the block as work that this chain caused.

    A class, not a generator: it is on the path of every event.
    """

    __slots__ = ("_chain", "_previous")

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def __enter__(self) -> None:
        self._previous = current()
        set_current(self._chain)

    def __exit__(self, *error: object) -> None:
        set_current(self._previous)
