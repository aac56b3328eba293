"""What the receivers of the conformance suite tell Django-Q2."""

from __future__ import annotations

RETRY = {"ack_failure": False}
