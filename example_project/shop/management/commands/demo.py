"""``manage.py demo``: see shop/demo/playing.py."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from shop.demo.playing import play_all
from shop.demo.stopping import Stopped
from shop.demo.timeline import Printer, use_colour
from shop.demo.worker import DemoError


class Command(BaseCommand):
    """Play the demo, and exit with 1 if anything went otherwise than announced."""

    help = (
        "Play what signals_plus does, with a real Celery worker as another process. Exits 0 only "
        "if everything it saw was as announced."
    )
    requires_migrations_checks = False

    def handle(self, *_: Any, **options: Any) -> None:
        colour = options["force_color"] or (not options["no_color"] and use_colour(self.stdout))
        try:
            failed = play_all(Printer(self.stdout, colour=colour))
        except Stopped as stopped:
            raise CommandError(str(stopped), returncode=stopped.returncode) from None
        except DemoError as error:
            raise CommandError(str(error)) from error
        if failed:
            raise CommandError(failed)
