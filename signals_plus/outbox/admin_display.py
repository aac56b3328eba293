"""What the admin shows of a message. All texts are data of others: each is escaped."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .models import Message
from .states import DEAD, RUNNING

# Characters of an error, in a list.
SHORT = 60


@admin.display(description=gettext_lazy("message id"))
def short_id(message: Message) -> str:
    """Return the part of the id by which people tell two apart."""
    return f"{str(message.message_id)[:8]}…"


@admin.display(description=gettext_lazy("state"))
def state(message: Message) -> str:
    """Return in a word how far a message is."""
    if message.status == DEAD:
        return _("dead")
    if message.claimed_by.startswith(RUNNING):
        return _("running")
    return _("failing") if message.attempts else _("pending")


@admin.display(description=gettext_lazy("last error"))
def first_line(message: Message) -> str:
    """Return as much of the error as a list has room for."""
    return Truncator(message.last_error.partition("\n")[0]).chars(SHORT)


@admin.display(description=gettext_lazy("last error"))
def error(message: Message) -> SafeString | str:
    """Return the whole error, in its lines."""
    return _preformatted(message.last_error)


@admin.display(description=gettext_lazy("payload"))
def payload(message: Message) -> SafeString | str:
    """Return the payload, laid out for people if it is JSON."""
    try:
        text = json.dumps(json.loads(message.payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = message.payload
    return _preformatted(text)


@admin.display(description=gettext_lazy("database"))
def database(message: Message) -> str:
    """Return the alias of the database that a message is in."""
    return message._state.db or ""


def _preformatted(text: str) -> SafeString | str:
    return format_html('<pre style="white-space: pre-wrap">{}</pre>', text) if text else ""
