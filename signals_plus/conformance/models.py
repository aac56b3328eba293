"""Rows that task receivers are sent."""

from __future__ import annotations

import uuid

from django.db import models


class Page(models.Model):
    saves = models.IntegerField(default=0)


class Left(models.Model):
    saves = models.IntegerField(default=0)


class Right(models.Model):
    left = models.OneToOneField(Left, models.CASCADE)


class Note(models.Model):
    """For the receiver of every sender."""


class Slow(models.Model):
    """Its receiver takes a while."""


class Failing(models.Model):
    pass


class Unheard(models.Model):
    """Its receiver is in a release that the worker has not got yet."""


class Flaky(models.Model):
    pass


class Later(models.Model):
    pass


class Sorted(models.Model):
    """Its receiver has a queue of its own."""


class Ranked(models.Model):
    """Each of its receivers has a priority of its own."""


class Gone(models.Model):
    pass


class Imported(models.Model):
    """One of many rows of a transaction."""

    number = models.IntegerField()


class Label(models.Model):
    name = models.CharField(max_length=50)


class Parcel(models.Model):
    name = models.CharField(max_length=50)
    labels = models.ManyToManyField(Label)


class Marker(models.Model):
    """Saved to see that a worker has done all that was in the queue before it."""


class Described(models.Model):
    name = models.CharField(max_length=50)


class Child(Described):
    """Multi-table inheritance."""


class Proxy(Described):
    class Meta:
        proxy = True


class UuidRow(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)


class CompositeRow(models.Model):
    pk = models.CompositePrimaryKey("shop", "number")
    shop = models.CharField(max_length=10)
    number = models.IntegerField()


class _Visible(models.Manager["Hidden"]):
    def get_queryset(self) -> models.QuerySet[Hidden]:
        return super().get_queryset().none()


class Hidden(models.Model):
    """Its default manager finds nothing."""

    objects = _Visible()


class Payment(models.Model):
    """Its receiver is durable, and writes an entry for it."""

    name = models.CharField(max_length=50)


class Entry(models.Model):
    """What a durable receiver has written."""

    name = models.CharField(max_length=50)


class Letter(models.Model):
    """Its receiver is durable until the queue has it."""


class Doubtful(models.Model):
    """Its durable receiver writes an entry, and fails for the first two times."""


class Hopeless(models.Model):
    """Its durable receiver fails."""


class Ledger(models.Model):
    """One of many rows of a transaction, for a durable receiver."""

    number = models.IntegerField()


class Draft(models.Model):
    """Saved again and again, for a durable receiver that wants the last state."""

    text = models.CharField(max_length=50)


class Step(models.Model):
    """One after the other."""

    number = models.IntegerField()
