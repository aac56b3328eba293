"""Two receivers defined in one line: connected when the module is imported, by its tests alone."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save

from signals_plus import receiver
from tests.testapp.models import Item

ran: list[str] = []

for which in ("first", "second"):

    @receiver(post_save, sender=Item)
    def handle(instance: Item, which: str = which, **kwargs: Any) -> None:
        ran.append(which)
        if which == "first":
            instance.save()
