"""The shop as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Nothing to do in ready(): signals_plus finds receivers.py by itself."""

    name = "shop"
    default_auto_field = "django.db.models.BigAutoField"
