"""The two actions of the admin: each asks first, says what it did, and leaves a log entry.

Two people may press the button at once, and a message may be done meanwhile: each message is dealt
with once, and what was left alone is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from . import admin_display, retention
from .models import Message

# How many at a time: a form may have a thousand fields. More is for manage.py requeue_outbox.
LIMIT = 500

TEMPLATE = "signals_plus_outbox/confirm_action.html"


class Act(NamedTuple):
    """What an action does with messages, and what it says."""

    name: str
    perform: Callable[..., list[Message]]
    possible: Callable[[QuerySet[Message]], QuerySet[Message]]
    flag: int
    title: Promise
    explanation: Promise
    left_alone: Promise
    done: Callable[[int], str]
    log: Promise


REQUEUE = Act(
    name="requeue",
    perform=retention.requeue,
    possible=retention.requeueable,
    flag=CHANGE,
    title=gettext_lazy("Requeue messages"),
    explanation=gettext_lazy(
        "They are due now, with all their attempts before them. The relay enqueues them, and their "
        "receivers run again."
    ),
    left_alone=gettext_lazy("Left alone: these have not failed, or a worker is at them."),
    done=lambda number: ngettext(
        "%(number)d message was requeued.", "%(number)d messages were requeued.", number
    ),
    log=gettext_lazy("Requeued. It was %(state)s after %(attempts)d attempts, in %(database)s."),
)

DISCARD = Act(
    name="discard",
    perform=retention.discard,
    possible=retention.discardable,
    flag=DELETION,
    title=gettext_lazy("Discard messages"),
    explanation=gettext_lazy(
        "They are deleted, and their work is never done. This cannot be undone. Messages that wait "
        "behind one of them, with the same ordering key, go on."
    ),
    left_alone=gettext_lazy("Left alone: a worker is at these."),
    done=lambda number: ngettext(
        "%(number)d message was discarded.", "%(number)d messages were discarded.", number
    ),
    log=gettext_lazy("Discarded. It was %(state)s after %(attempts)d attempts, in %(database)s."),
)


@admin.action(permissions=["requeue"], description=gettext_lazy("Requeue selected messages"))
def requeue(
    modeladmin: Any, request: HttpRequest, queryset: QuerySet[Message]
) -> HttpResponse | None:
    """Let messages be due again, once that is confirmed."""
    return _confirm_or_do(REQUEUE, modeladmin, request, queryset)


@admin.action(permissions=["discard"], description=gettext_lazy("Discard selected messages"))
def discard(
    modeladmin: Any, request: HttpRequest, queryset: QuerySet[Message]
) -> HttpResponse | None:
    """Delete messages, once that is confirmed."""
    return _confirm_or_do(DISCARD, modeladmin, request, queryset)


def _confirm_or_do(
    act: Act, modeladmin: Any, request: HttpRequest, queryset: QuerySet[Message]
) -> HttpResponse | None:
    chosen = list(queryset[: LIMIT + 1])
    if len(chosen) > LIMIT:
        text = _("That is more than %(limit)d messages. Nothing was done: choose fewer.")
        modeladmin.message_user(request, text % {"limit": LIMIT}, messages.ERROR)
        return None
    if request.POST.get("confirmed"):
        _do(act, modeladmin, request, queryset)
        return None
    if not chosen:
        modeladmin.message_user(request, _nothing_left(), messages.WARNING)
        return None
    return _confirmation(act, modeladmin, request, queryset, chosen)


def _do(act: Act, modeladmin: Any, request: HttpRequest, queryset: QuerySet[Message]) -> None:
    asked = len(request.POST.getlist(helpers.ACTION_CHECKBOX_NAME))
    done = act.perform(queryset, note=lambda some: _log(act, request, some))
    if done:
        text = act.done(len(done)) % {"number": len(done)}
        modeladmin.message_user(request, text, messages.SUCCESS)
    if asked > len(done):
        text = ngettext(
            "%(number)d was left alone: somebody else has dealt with it, or is at it.",
            "%(number)d were left alone: somebody else has dealt with them, or is at them.",
            asked - len(done),
        )
        text %= {"number": asked - len(done)}
        modeladmin.message_user(request, text, messages.WARNING)


def _nothing_left() -> str:
    return _("Nothing was done: the messages are gone. They are done, or somebody was faster.")


def _log(act: Act, request: HttpRequest, some: Iterable[Message]) -> None:
    user: Any = request.user
    content_type = ContentType.objects.get_for_model(Message)
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=user.pk,
            content_type_id=content_type.pk,
            # Not the row's: it is another one in each database, and may come again.
            object_id=str(message.message_id),
            object_repr=str(message)[:200],
            action_flag=act.flag,
            change_message=act.log
            % {
                "state": admin_display.state(message),
                "attempts": message.attempts,
                "database": admin_display.database(message),
            },
        )
        for message in some
    )


def _confirmation(
    act: Act,
    modeladmin: Any,
    request: HttpRequest,
    queryset: QuerySet[Message],
    chosen: list[Message],
) -> HttpResponse:
    possible = set(act.possible(queryset).values_list("pk", flat=True))
    request.current_app = modeladmin.admin_site.name
    context = {
        **modeladmin.admin_site.each_context(request),
        "opts": modeladmin.opts,
        "media": modeladmin.media,
        "title": act.title,
        "subtitle": None,
        "act": act,
        "possible": [_row(message) for message in chosen if message.pk in possible],
        "left_alone": [_row(message) for message in chosen if message.pk not in possible],
        "database": queryset.db,
        "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        "back": request.get_full_path(),
    }
    return TemplateResponse(request, TEMPLATE, context)


def _row(message: Message) -> dict[str, Any]:
    return {
        "message": message,
        "state": admin_display.state(message),
        "error": admin_display.first_line(message),
    }
