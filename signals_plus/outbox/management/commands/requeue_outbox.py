"""``manage.py requeue_outbox``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser
from django.db.models import QuerySet

from ... import retention
from ...models import Message
from ..base import OutboxCommand, counted


class Command(OutboxCommand):
    """Give dead and failing messages all their attempts again."""

    help = (
        "Lets dead messages, and pending ones that have failed, be due now with no attempts "
        "counted. The relay enqueues them. One that a worker is at is left alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--receiver", metavar="NAME", help="Those of one receiver.")
        which.add_argument(
            "--id", nargs="+", type=UUID, dest="ids", metavar="UUID", help="These, by message id."
        )
        which.add_argument("--all", action="store_true", help="All of them.")

    def handle(self, *args: Any, **options: Any) -> None:
        for alias in self.chosen(options["databases"]):
            number = len(retention.requeue(_chosen(alias, options)))
            self.stdout.write(f"{alias}: {counted(number)} requeued.")


def _chosen(alias: str, options: dict[str, Any]) -> QuerySet[Message]:
    messages = Message.objects.using(alias).order_by("pk")
    if options["all"]:
        return messages
    if options["ids"]:
        return messages.filter(message_id__in=options["ids"])
    return messages.filter(receiver=options["receiver"])
