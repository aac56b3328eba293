"""What the commands of the outbox have in common."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from django.core.management.base import BaseCommand, CommandError, CommandParser

from .. import databases


class OutboxCommand(BaseCommand):
    """A command on the outboxes of some databases."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--database",
            action="append",
            dest="databases",
            metavar="ALIAS",
            help="A database with an outbox; may be given again. Default: all that have one.",
        )

    def chosen(self, aliases: Sequence[str] | None) -> list[str]:
        """Return the databases to work on, or end with an error."""
        try:
            return databases.chosen(aliases)
        except databases.NoOutboxError as error:
            raise CommandError(str(error)) from error


def at_least_0(text: str) -> int:
    """Read a whole number from the command line."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def counted(number: int) -> str:
    """Return so many messages, in words."""
    return f"{number} message{'' if number == 1 else 's'}"
