"""Events as JSON, and back: what travels to a worker, and what does not.

The sending side writes each event when it is sent (``encode_event``) and puts the events of a
message together after the commit (``compose``). The worker reads a payload (``decode``) and loads
its rows (``load``).
"""

from __future__ import annotations

from .chains import encode as encode_chain
from .fragments import encode_event, with_arguments
from .labels import signal_labels, signal_of
from .loading import load
from .messages import VERSION, EventData, Message, compose, decode
from .shapes import Fragment, joined
from .types import payload_type

__all__ = [
    "VERSION",
    "EventData",
    "Fragment",
    "Message",
    "compose",
    "decode",
    "encode_chain",
    "encode_event",
    "joined",
    "load",
    "payload_type",
    "signal_labels",
    "signal_of",
    "with_arguments",
]
