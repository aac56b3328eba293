"""What README and docs take for granted: an app named ``shop``, and Celery without a worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import celery._state
import pytest
from celery import Celery
from django.apps import apps
from django.conf import settings
from django.db import connections
from django.test.utils import override_settings
from pytest_django import DjangoDbBlocker

from signals_plus.backends.handler import backends


@pytest.fixture(scope="session")
def shop(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Install ``shop`` beside the apps of the test settings, and make its tables."""
    sys.path.insert(0, str(Path(__file__).parent / "apps"))
    with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "shop"]):
        models = list(apps.get_app_config("shop").get_models())
        with django_db_blocker.unblock():
            for connection in connections.all():
                existing = connection.introspection.table_names()
                with connection.schema_editor() as editor:
                    for model in models:
                        if model._meta.db_table not in existing:
                            editor.create_model(model)
    sys.path.pop(0)


@pytest.fixture(scope="module")
def shop_installed(shop: None) -> Iterator[None]:
    """Let Django know of ``shop``, and keep its mails in ``mail.outbox``.

    For a module: the tables of ``shop`` are emptied after each test only while it is installed.
    """
    with override_settings(
        INSTALLED_APPS=[*settings.INSTALLED_APPS, "shop"],
        MAILERS={"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}},  # 6.1
    ):
        yield


@pytest.fixture
def eager_celery() -> Iterator[None]:
    """Run tasks in this process when they are enqueued."""
    previous = celery._state._tls.current_app
    with override_settings(CELERY_TASK_ALWAYS_EAGER=True):
        app = Celery("shop", set_as_current=False)
        app.conf.task_always_eager = True
        app.set_current()
        yield
    celery._state._tls.current_app = previous
    backends.forget()
