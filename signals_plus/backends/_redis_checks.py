"""What system checks say of a queue that is in Redis."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Info


def check_publish(alias: str, names: Sequence[str]) -> list[CheckMessage]:
    """I001 outside of DEBUG. Whether Redis writes to the disk, no client may ask everywhere."""
    if django_settings.DEBUG:
        return []
    return [
        Info(
            f'{", ".join(names)}: with durable="publish" a task is done when the Redis of the '
            f"backend {alias!r} has it, and Redis forgets what it has not written to its disk.",
            hint='Set appendonly yes in redis.conf, or use durable="effect". Silence this then.',
            id="signals_plus.I001",
        )
    ]
