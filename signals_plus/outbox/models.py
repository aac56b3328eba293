"""The one table of the outbox."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import NameField
from .indexes import LeanIndex
from .states import DEAD, MAX_NAME, PENDING, TABLE


class Message(models.Model):
    """A task of a durable receiver that is not known to be done.

    Written and read by ``table.OutboxTable``: a save through the ORM takes several times as long.
    """

    class Status(models.IntegerChoices):
        """A message that is done is a row that is gone."""

        PENDING = PENDING, _("pending")
        DEAD = DEAD, _("dead")

    message_id = models.UUIDField(_("message id"), unique=True)
    receiver = NameField(_("receiver"), max_length=MAX_NAME)
    payload = models.TextField(_("payload"))
    trace = models.TextField(_("trace"), default="")
    effect = models.BooleanField(
        _("effect"), help_text=_("Done when its receiver has run, not when a queue has it.")
    )
    ordering_key = NameField(_("ordering key"), max_length=255, null=True)
    status = models.SmallIntegerField(_("status"), choices=Status, default=PENDING)
    attempts = models.SmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created at"))
    due_at = models.DateTimeField(_("due at"))
    due_since = models.DateTimeField(
        _("due since"), help_text=_("The longer it has been due, the longer it is put off next.")
    )
    dead_at = models.DateTimeField(_("dead at"), null=True)
    claimed_by = models.CharField(_("claimed by"), max_length=64, default="")
    last_error = models.TextField(_("last error"), default="")

    class Meta:
        db_table = TABLE
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        default_permissions = ("view",)
        permissions = (
            ("requeue_message", _("Can requeue messages: run their receivers again")),
            ("discard_message", _("Can discard messages: delete them undone")),
            ("view_payload", _("Can view the payload of messages")),
        )
        indexes = (
            LeanIndex(
                "status",
                "due_at",
                "id",
                name="signals_plus_outbox_due",
                rows=models.Q(status=PENDING),
            ),
            LeanIndex(
                "receiver",
                "ordering_key",
                "id",
                name="signals_plus_outbox_order",
                rows=models.Q(ordering_key__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.receiver} {self.message_id}"
