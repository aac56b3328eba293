"""One table, and a sender for each contender.

The senders are proxies, so that all contenders save to, and load from, the very same table.
"""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.utils import timezone


class Row(models.Model):
    """A row like many."""

    name = models.CharField(max_length=100)
    number = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=10, decimal_places=2, default=Decimal("9.90"))
    is_open = models.BooleanField(default=True)
    changed_at = models.DateTimeField(default=timezone.now)

    objects: models.Manager[Row] = models.Manager()


class ByHand(Row):
    """Its receiver is what users write by hand."""

    class Meta:
        proxy = True


class ByHandBare(Row):
    """The shortest that users write."""

    class Meta:
        proxy = True


class ByHandChunked(Row):
    """By hand, for many rows at once."""

    class Meta:
        proxy = True


class WithPlus(Row):
    """Its receiver is decorated by signals_plus."""

    class Meta:
        proxy = True


class WithPlusBatched(Row):
    """The same, with ``batch=True``."""

    class Meta:
        proxy = True


class WithOutbox(Row):
    """Its receiver has ``durable=True``."""

    class Meta:
        proxy = True


class WithOutboxPublished(Row):
    """Its receiver has ``durable="publish"``."""

    class Meta:
        proxy = True


class WithOutboxLater(Row):
    """Its receiver has ``run_after=``, too: nothing is enqueued after the commit."""

    class Meta:
        proxy = True


class WithNothing(Row):
    """It has no receiver."""

    class Meta:
        proxy = True
