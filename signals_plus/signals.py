"""The signals that the package itself sends."""

from __future__ import annotations

from django.dispatch import Signal

enqueue_failed = Signal()
"""A committed event could not be handed to its queue; without ``durable`` its task is lost.

Sent after the commit, with ``send_robust``: a receiver of it cannot hurt the request. Arguments:
``sender`` (the class of the backend), ``receiver`` (the function), ``task_name``, ``payload``
(JSON text; what the worker would have been given) and ``error``.
"""
