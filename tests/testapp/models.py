"""One model for each way in which rows differ."""

from __future__ import annotations

import uuid

from django.db import models


class Tag(models.Model):
    name = models.CharField(max_length=50)


class Item(models.Model):
    name = models.CharField(max_length=50)
    score = models.IntegerField(default=0)
    data = models.JSONField(default=dict)
    file = models.FileField(blank=True)
    parent = models.ForeignKey("self", models.CASCADE, null=True)
    tags = models.ManyToManyField(Tag)


class SpecialItem(Item):
    """A child by multi-table inheritance."""

    extra = models.CharField(max_length=50, default="")


class ItemProxy(Item):
    class Meta:
        proxy = True


class UuidItem(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=50)


class CompositeItem(models.Model):
    pk = models.CompositePrimaryKey("shop", "number")
    shop = models.CharField(max_length=10)
    number = models.IntegerField()


class _VisibleManager(models.Manager["HiddenItem"]):
    def get_queryset(self) -> models.QuerySet[HiddenItem]:
        return super().get_queryset().filter(hidden=False)


class HiddenItem(models.Model):
    """A model whose default manager hides rows."""

    hidden = models.BooleanField(default=True)

    objects = _VisibleManager()


class AbstractItem(models.Model):
    class Meta:
        abstract = True
