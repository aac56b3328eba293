"""The work of the project: each tag is copied to an item, and each UuidItem is told of.

An item is the effect in the database. A line in a file is an effect elsewhere, and what says how
often a receiver ran.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db.models.signals import post_save

from signals_plus import receiver_task
from tests.outbox.chaos.traps import Traps
from tests.testapp.models import Item, Tag, UuidItem


class Ledger:
    """The lines that receivers of all processes have written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger"

    def write(self, line: str) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode())

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []


def connect(folder: Path) -> None:
    """Connect the receivers, which leave what they do in a folder."""
    ledger, traps = Ledger(folder), Traps(folder)

    @receiver_task(post_save, sender=Tag, durable=True, name="chaos.copy")
    def copy(sender: Any, instance: Tag, using: str, **kwargs: Any) -> None:
        ledger.write(f"copy {instance.name}")
        traps.step_on(f"receiver.{instance.name}", "before")
        traps.step_on("receiver", "before")
        Item.objects.using(using).create(name=instance.name)
        traps.step_on("receiver", "after")

    @receiver_task(post_save, sender=UuidItem, durable="publish", name="chaos.tell")
    def tell(sender: Any, instance: UuidItem, **kwargs: Any) -> None:
        ledger.write(f"tell {instance.name}")
