"""What the rows of the outbox say, and how long each waits for what."""

from __future__ import annotations

TABLE = "signals_plus_outbox_message"

# A message that is done is a row that is gone.
PENDING = 0
DEAD = 9

# How ``claimed_by`` begins: a relay has claimed it, a queue may have it from a relay, a worker is
# at it. One that is due again and still RELAYING may have ended its relay.
RELAYING = "relay:"
SENT = "sent:"
RUNNING = "run:"

# Seconds: how far a message is put off, at the most.
MAX_WAIT = 600.0
# Characters: of an error that are kept, of a task's name.
MAX_ERROR = 2000
MAX_NAME = 255

# What durable= says for a message that is done when its receiver has run.
EFFECT = (True, "effect")
