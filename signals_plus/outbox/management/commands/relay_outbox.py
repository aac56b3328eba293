"""``manage.py relay_outbox``."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...relay import Relay
from ...stopping import calling_when_told
from ..base import OutboxCommand, counted


class Command(OutboxCommand):
    """Run a relay until it is told to end, or until nothing is due."""

    help = (
        "Enqueues the messages of durable receivers that were not done in time. Runs until SIGTERM "
        "or Ctrl-C; gives back then what it has not enqueued. Several may run."
    )

    # Not all: some of Django's own ask a MariaDB for its version, which may start after the relay.
    requires_system_checks = ("signals_plus",)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--once", action="store_true", help="End when nothing is due any more, for cron."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Not the relay's own wait: a signal's handler may find its lock taken.
        relay = Relay(self.chosen(options["databases"]), wait=time.sleep)
        with calling_when_told(relay.stop):
            self._say(f"Relay {relay.name} begins: {', '.join(relay.aliases)}.")
            if options["once"]:
                relay.drain()
            else:
                relay.run()
        self._say(f"Relay {relay.name} ends: {counted(relay.enqueued)} enqueued.")
        if options["once"] and relay.unusable:
            raise CommandError(f"Messages may wait: could not use {', '.join(relay.unusable)}.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()  # a supervisor's log is no terminal
