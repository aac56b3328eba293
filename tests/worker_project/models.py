"""Rows that task receivers are sent."""

from __future__ import annotations

import uuid

from django.db import models


class Run(models.Model):
    """One execution of a task receiver; in the database ``default``."""

    receiver = models.CharField(max_length=50)
    pid = models.IntegerField()
    detail = models.JSONField(default=dict)


class Page(models.Model):
    saves = models.IntegerField(default=0)


class Left(models.Model):
    saves = models.IntegerField(default=0)


class Right(models.Model):
    left = models.OneToOneField(Left, models.CASCADE)


class Audited(models.Model):
    saves = models.IntegerField(default=0)


class Flaky(models.Model):
    pass


class Slow(models.Model):
    pass


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
