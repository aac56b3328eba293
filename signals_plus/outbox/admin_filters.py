"""What the list of the admin can be narrowed to, without a query for what there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..registry import registry
from . import databases
from .models import Message
from .moments import Moment
from .receiving import DurableReceiver
from .states import DEAD, PENDING

Choices = list[tuple[str, Any]]

# A task's name has no space in front of it.
UNKNOWN = " unknown"


class _Filter(SimpleListFilter):
    """One that refuses what it does not offer."""

    def value(self) -> str | None:
        value = super().value()
        if value is not None and value not in {choice for choice, _ in self.lookup_choices}:
            raise IncorrectLookupParameters(value)
        return value


class DatabaseFilter(_Filter):
    """Of several databases with an outbox the one to look at."""

    title = _("database")
    parameter_name = "database"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Message]) -> Choices:
        return [(alias, alias) for alias in databases.chosen(None)]

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        _all, *choices = super().choices(changelist)
        choices[0]["selected"] = self.value() in {None, self.lookup_choices[0][0]}
        yield from choices

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Message]
    ) -> QuerySet[Message] | None:
        alias = self.value()
        return queryset if alias is None else queryset.using(alias)


class StateFilter(_Filter):
    """What is becoming of a message."""

    title = _("state")
    parameter_name = "state"

    _rows = {  # noqa: RUF012
        "pending": Q(status=PENDING, attempts=0),
        "failing": Q(status=PENDING, attempts__gt=0),
        "dead": Q(status=DEAD),
    }

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Message]) -> Choices:
        return [("pending", _("pending")), ("failing", _("failing")), ("dead", _("dead"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Message]
    ) -> QuerySet[Message] | None:
        state = self.value()
        return queryset if state is None else queryset.filter(self._rows[state])


class AgeFilter(_Filter):
    """How long ago a message was written, by the database's clock."""

    title = _("age")
    parameter_name = "age"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Message]) -> Choices:
        return [
            ("60", _("more than a minute")),
            ("600", _("more than ten minutes")),
            ("3600", _("more than an hour")),
            ("86400", _("more than a day")),
            ("604800", _("more than a week")),
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Message]
    ) -> QuerySet[Message] | None:
        seconds = self.value()
        if seconds is None:
            return queryset
        return queryset.filter(created_at__lt=Moment(-int(seconds)))


class ReceiverFilter(_Filter):
    """Those of one receiver, or of those that this process does not know."""

    title = _("receiver")
    parameter_name = "receiver"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Message]) -> Choices:
        durable = [each.name for each in registry if isinstance(each, DurableReceiver)]
        return [(UNKNOWN, _("unknown here")), *((name, name) for name in sorted(durable))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Message]
    ) -> QuerySet[Message] | None:
        name = self.value()
        if name is None:
            return queryset
        if name == UNKNOWN:
            return queryset.exclude(receiver__in=[each.name for each in registry])
        return queryset.filter(receiver=name)
