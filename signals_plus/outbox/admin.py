"""The outbox in Django's admin: to look at, to requeue and to discard. Nothing else is changed.

Django imports this module where ``django.contrib.admin`` is installed.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from . import admin_actions, admin_display, admin_filters, databases
from .models import Message

# How many messages the list counts, and shows: to count all of a large table takes seconds.
MOST = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of no more than the first so many messages."""

    @cached_property
    def count(self) -> int:
        messages: QuerySet[Message] = self.object_list[:MOST]  # type: ignore[assignment]
        return messages.count()


class MessageList(ChangeList):
    """The list, whose links name messages by the id that is the same everywhere."""

    def url_for_result(self, result: Any) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(
            name, args=(result.message_id,), current_app=self.model_admin.admin_site.name
        )


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only rows, and two actions, each behind a permission of its own.

    The payload is behind another one. Of several databases with an outbox the list shows one, the
    first of ``DATABASES`` unless the filter says which.
    """

    list_display = (
        admin_display.short_id, "receiver", admin_display.state, "attempts", "created_at",
        admin_display.first_line,
    )  # fmt: skip
    list_filter = (
        admin_filters.DatabaseFilter,
        admin_filters.StateFilter,
        admin_filters.AgeFilter,
        admin_filters.ReceiverFilter,
    )
    search_fields = ("message_id",)
    search_help_text = _("The whole id of a message")
    actions = (admin_actions.requeue, admin_actions.discard)
    ordering = ("-id",)
    # No other order has an index, and no count is needed to see what is there.
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        return False

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        """Tell who may let receivers run again."""
        return self._may(request, "requeue_message")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        """Tell who may delete messages undone."""
        return self._may(request, "discard_message")

    def has_payload_permission(self, request: HttpRequest) -> bool:
        """Tell who may see what a message holds."""
        return self._may(request, "view_payload")

    def get_fields(self, request: HttpRequest, obj: Message | None = None) -> Any:
        payload = (admin_display.payload,) if self.has_payload_permission(request) else ()
        return (
            "message_id", admin_display.database, "receiver", "effect", "ordering_key",
            admin_display.state, "attempts", "created_at", "due_since", "due_at", "dead_at",
            "claimed_by", admin_display.error, "trace", *payload,
        )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Message | None = None) -> Any:
        return self.get_fields(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        messages = Message.objects.using(databases.chosen(None)[0])
        return messages.defer("payload").order_by(*self.ordering)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Message | None:
        """Return a message by its id, from whichever database it is in."""
        try:
            wanted = Message._meta.get_field("message_id").to_python(object_id)
        except ValidationError:
            return None
        for alias in databases.chosen(None):
            messages = Message.objects.using(alias)
            if not self.has_payload_permission(request):
                messages = messages.defer("payload")
            if message := messages.filter(message_id=wanted).first():
                return message
        return None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Message], search_term: str
    ) -> tuple[QuerySet[Message], bool]:
        if not search_term.strip():
            return queryset, False
        try:
            wanted = Message._meta.get_field("message_id").to_python(search_term.strip())
        except ValidationError:
            return queryset.none(), False
        return queryset.filter(message_id=wanted), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the filters alone: ``?payload__startswith=`` would tell the payload bit by bit."""
        return lookup in {each.parameter_name for each in self.list_filter}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[MessageList]:
        return MessageList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response: HttpResponse = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if "cl" in context and context["cl"].result_count >= MOST:
            context["subtitle"] = gettext(
                "The newest %(number)d. The filters and manage.py outbox_stats show the others."
            ) % {"number": MOST}
        return response

    def _may(self, request: HttpRequest, permission: str) -> bool:
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.{permission}"))
