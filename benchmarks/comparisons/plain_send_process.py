"""Send ``post_save`` whenever a line is read: in a project with signals_plus, or without."""

from __future__ import annotations

import sys
import time
from typing import Any

import django
from django.conf import settings
from django.db import models
from django.db.models.signals import post_save


def handle(sender: Any, instance: Any, **kwargs: Any) -> None:
    pass


def handle_user(sender: Any, instance: Any, **kwargs: Any) -> None:
    pass


def main(kind: str) -> None:
    """Print the seconds that each ten thousand sendings took."""
    apps = ["django.contrib.contenttypes", "django.contrib.auth"]
    settings.configure(INSTALLED_APPS=[*apps, "signals_plus"] if kind == "with" else apps)
    django.setup()
    from django.contrib.auth.models import Group, User  # noqa: PLC0415 - after setup()

    if kind == "with":
        from signals_plus import receiver_on_commit  # noqa: PLC0415 - not in the other process

        receiver_on_commit(post_save, sender=User)(handle_user)
    post_save.connect(handle, sender=Group)
    for _ in sys.stdin:
        print(_send(Group(name="group")), flush=True)


def _send(row: models.Model) -> float:
    sender = type(row)
    started = time.perf_counter()
    for _ in range(10_000):
        post_save.send(
            sender=sender, instance=row, created=True, update_fields=None, raw=False,
            using="default",
        )  # fmt: skip
    return time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1])
