"""``manage.py demo``: see shop/demo/playing.py."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from shop.demo.playing import play_all, play_import
from shop.demo.stopping import Stopped
from shop.demo.timeline import Printer, use_colour
from shop.demo.worker import DemoError


class Command(BaseCommand):
    """Play the demo, and exit with 1 if anything went otherwise than announced."""

    help = (
        "Play what signals_plus does, with a real worker as another process. Exits 0 only "
        "if everything it saw was as announced."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--import",
            dest="amount",
            type=_number_of_rows,
            metavar="N",
            help="Instead, import N rows in one transaction: their receiver runs in the worker, "
            "once for 1,000 rows.",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        colour = options["force_color"] or (not options["no_color"] and use_colour(self.stdout))
        try:
            failed = self._play(Printer(self.stdout, colour=colour), options["amount"])
        except Stopped as stopped:
            raise CommandError(str(stopped), returncode=stopped.returncode) from None
        except DemoError as error:
            raise CommandError(str(error)) from error
        if failed:
            raise CommandError(failed)

    def _play(self, printer: Printer, amount: int | None) -> str:
        return play_all(printer) if amount is None else play_import(printer, amount)


def _number_of_rows(text: str) -> int:
    try:
        amount = int(text)
    except ValueError:
        amount = 0
    if amount < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of rows. Give a whole number of at least 1, such as 100000."
        )
    return amount
