"""``manage.py outbox_stats``."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...stats import Figures, Limits, Stats, UnreadableError, stats
from ..base import OutboxCommand, at_least_0


class Command(OutboxCommand):
    """Show how the outboxes are doing, and fail when that is not well."""

    help = (
        "Shows how many messages are not done, for how long, and how many are dead. Ends with exit "
        "code 1 when a limit is exceeded or an outbox cannot be asked: a health check."
    )
    # A health check is run often, and is about the outbox.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument(
            "--max-age",
            type=at_least_0,
            metavar="SECONDS",
            help="For how long the oldest message may wait; run_after is not counted.",
        )
        parser.add_argument(
            "--max-depth", type=at_least_0, metavar="N", help="How many may not be done."
        )
        parser.add_argument(
            "--max-dead", type=at_least_0, metavar="N", help="How many may be dead."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        limits = Limits(options["max_age"], options["max_depth"], options["max_dead"])
        report: dict[str, dict[str, Any]] = {}
        problems = []
        for alias in self.chosen(options["databases"]):
            try:
                found = stats(alias)
            except UnreadableError as error:
                report[alias] = {"error": str(error)}
                problems.append(f"{alias}: {error}")
                continue
            report[alias] = found.as_dict()
            problems += [f"{alias}: {problem}" for problem in limits.exceeded(found.total)]
            if options["format"] == "text":
                self._show(alias, found)
        if options["format"] == "json":
            self.stdout.write(json.dumps({"databases": report, "problems": problems}, indent=2))
        if problems:
            raise CommandError("\n".join(problems))

    def _show(self, alias: str, found: Stats) -> None:
        self.stdout.write(f"{alias}: {_described(found.total)}")
        for name, figures in found.receivers.items():
            unknown = " (no such receiver in this process)" if name in found.unknown else ""
            self.stdout.write(f"  {name}{unknown}: {_described(figures)}")


def _described(figures: Figures) -> str:
    return (
        f"{figures.depth} not done, oldest {figures.oldest:.0f} s, {figures.failing} failing "
        f"(at most {figures.attempts} attempts), {figures.dead} dead"
    )
