"""A project whose relay runs in a process of its own, on the databases of a test."""

from __future__ import annotations

# Of the receiver that the relay knows.
NAME = "outbox_project.handle"
