"""The two ledgers, and a sender for each way to run a task."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    """The ledger of commits: a row is there if, and only if, its transaction has committed."""

    way = models.CharField(max_length=20)
    # Whose events are to be handled in order.
    key = models.CharField(max_length=40)

    objects: models.Manager[Event] = models.Manager()

    def save(self, *args: object, **kwargs: object) -> None:
        self.way = type(self).__name__.lower()
        super().save(*args, **kwargs)  # type: ignore[arg-type]


class Effect(models.Model):
    """The ledger of effects: a row for each execution whose transaction has committed.

    Nothing but the receivers' own care keeps an event from having two.
    """

    event = models.BigIntegerField()
    nonce = models.UUIDField()

    objects: models.Manager[Effect] = models.Manager()


class Durable(Event):
    """``durable=True``: no effect lost, none doubled."""

    class Meta:
        proxy = True


class Ordered(Event):
    """The same with ``ordering_key=``: and in order."""

    class Meta:
        proxy = True


class Held(Event):
    """The same with ``atomic=False``: none lost. An execution that was killed is repeated."""

    class Meta:
        proxy = True


class Published(Event):
    """``durable="publish"``: a control. What the broker had, and a killed worker had, is lost."""

    class Meta:
        proxy = True


class Plain(Event):
    """No outbox: a control. What was committed and not published is lost as well."""

    class Meta:
        proxy = True


WAYS: tuple[type[Event], ...] = (Durable, Ordered, Held, Published, Plain)
