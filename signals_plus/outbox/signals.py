"""What becomes of messages, for those who watch.

Each is sent with ``send_robust``; the sender is the function of the receiver, None if this process
does not know it. All have ``message_id`` and ``task_name``.
"""

from __future__ import annotations

from django.dispatch import Signal

message_enqueued = Signal()
"""A queue has taken a message; the relay may enqueue it again later."""

message_delivered = Signal()
"""The receiver has run for a message, and the message is gone. Sent by the worker, after the
commit; not for ``durable="publish"``, of which the outbox does not know."""

message_failed = Signal()
"""An attempt failed, and the message is tried again later. Arguments: ``error``, ``attempts``."""

message_dead = Signal()
"""A message was given up, and waits for a person. Arguments: ``error`` (a text), ``attempts``."""
