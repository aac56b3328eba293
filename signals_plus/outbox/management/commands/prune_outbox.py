"""``manage.py prune_outbox``."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandParser

from ... import retention
from ...models import Message
from ..base import OutboxCommand, at_least_0, counted

# A hundred years: no database has a time that is much longer ago.
MAX_DAYS = 36_500


def _days(text: str) -> int:
    days = at_least_0(text)
    if days > MAX_DAYS:
        raise argparse.ArgumentTypeError(f"{days} days are more than {MAX_DAYS}")
    return days


class Command(OutboxCommand):
    """Delete dead messages by age."""

    help = "Deletes messages that have been dead for some days. Pending ones are never deleted."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--days",
            type=_days,
            required=True,
            help="Those that have been dead for so many days, by the database's clock. There is no "
            "default: what is pruned is never done.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Count them only.")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["days"]
        for alias in self.chosen(options["databases"]):
            if options["dry_run"]:
                number = retention.prunable(Message.objects.using(alias), days).count()
                self.stdout.write(f"{alias}: {counted(number)} would be deleted.")
            else:
                self.stdout.write(f"{alias}: {counted(retention.prune(alias, days))} deleted.")
