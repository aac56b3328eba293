"""A path for each receiver, for queues whose workers import what a message names.

# Note [Paths]
Such a queue keeps where a function is, ``module.name``, and shows that in its monitor. A
receiver's function stays what it is, so what runs it stands elsewhere: it is an attribute that a
module's ``__getattr__`` makes of the receiver's name. Nothing is imported for it but that module.
What is before the last dot is taken for the module: the dots of a receiver's name are colons in
its path, and what could be mistaken for one is written as in a URL.
``signals_plus.backends.by_name.receiver:shop:receivers:print_label`` is in the messages of queues:
it has to stay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import quote, unquote

from .base import run_task

# What the attributes begin with. No Python name does: nothing else of a module is a receiver.
_PREFIX = "receiver:"


def path_of(name: str) -> str:
    """Return the path of what runs a receiver: a function of its payload.

    It can be imported whether the process knows the receiver or not. Where it does not, the call
    raises ``UnknownReceiverError``.
    """
    return f"{__name__}.{attribute_of(name)}"


def attribute_of(name: str) -> str:
    """Return what a receiver is called as an attribute of a module. See Note [Paths]."""
    return _PREFIX + quote(name, safe="").replace(".", ":")


def name_of(attribute: str, module: str) -> str:
    """Return which receiver an attribute of a module stands for.

    Raises:
        AttributeError: It stands for none.
    """
    if not attribute.startswith(_PREFIX):
        raise AttributeError(f"module {module!r} has no attribute {attribute!r}")
    return unquote(attribute.removeprefix(_PREFIX).replace(":", "."))


def __getattr__(attribute: str) -> Callable[[str], None]:
    return partial(run_task, name_of(attribute, __name__))
