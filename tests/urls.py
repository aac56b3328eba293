"""The URLs of the test project: an admin with nothing but the outbox.

Not Django's own site: what another test installs for a while stays registered there.
"""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.urls import path

from signals_plus.outbox.admin import MessageAdmin
from signals_plus.outbox.models import Message

site = AdminSite()
site.register(Message, MessageAdmin)

urlpatterns = [path("admin/", site.urls)]
