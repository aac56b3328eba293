"""One model for each way in which rows differ."""

from __future__ import annotations

import uuid
from typing import Any

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


class Point:
    """A value of a type that only its field knows."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    def __hash__(self) -> int:
        return hash((self.x, self.y))

    def __str__(self) -> str:
        return f"{self.x};{self.y}"


class PointField(models.CharField):  # type: ignore[type-arg]
    def from_db_value(self, value: str | None, expression: object, connection: object) -> object:
        return self.to_python(value)

    def to_python(self, value: Any) -> Any:
        if value is None or isinstance(value, Point):
            return value
        x, y = str(value).split(";")
        return Point(int(x), int(y))

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else str(value)


class ItemOfEveryKind(models.Model):
    """A column for each type of field whose values JSON has no word for."""

    amount = models.DecimalField(max_digits=9, decimal_places=3)
    at = models.DateTimeField()
    day = models.DateField()
    clock = models.TimeField()
    lasted = models.DurationField()
    token = models.UUIDField()
    data = models.BinaryField()
    address = models.GenericIPAddressField()
    point = PointField(max_length=20)
    settings = models.JSONField(default=dict)
    file = models.FileField(blank=True)
    tag = models.ForeignKey(Tag, models.CASCADE, null=True)


class DecimalKeyItem(models.Model):
    id = models.DecimalField(primary_key=True, max_digits=6, decimal_places=2)


class DayItem(models.Model):
    day = models.DateField(primary_key=True)


class PointItem(models.Model):
    point = PointField(max_length=20, primary_key=True)


class ShoutingField(models.CharField):  # type: ignore[type-arg]
    """Gives back other letters than were stored, as a lax collation does."""

    def from_db_value(self, value: str, expression: object, connection: object) -> str:
        return value.upper()


class ShoutingItem(models.Model):
    name = ShoutingField(max_length=20, primary_key=True)
