"""System checks for what can only be seen once the whole project is loaded."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.db import router
from django.db.models import Model

from .backends.base import BaseBackend
from .backends.handler import backends
from .conf import Settings, settings
from .exceptions import SettingsError
from .registry import registry
from .tasks import TaskReceiver

DECORATORS = frozenset({"receiver", "receiver_on_commit", "receiver_task"})


@register("signals_plus")
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E002: a ``SIGNALS_PLUS_*`` setting cannot be read, or does not exist."""
    known = {f"SIGNALS_PLUS_{name.upper()}": name for name in vars(Settings) if name[0] != "_"}
    found: list[CheckMessage] = []
    for setting in sorted(
        name for name in dir(django_settings) if name.startswith("SIGNALS_PLUS_")
    ):
        if setting not in known:
            problem = f"{setting} is no setting of signals_plus."
            found.append(_e002(problem, f"There are {', '.join(sorted(known))}."))
            continue
        try:
            getattr(settings, known[setting])
        except SettingsError as error:
            found.append(_e002(str(error), "Correct it, or leave it out for the default."))
    return found


@register("signals_plus")
def check_backends(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W013, and what the queues of the task receivers say of their configuration."""
    found: list[CheckMessage] = []
    for alias in sorted({receiver.options.backend for receiver in registry}):
        backend = backends[alias]
        if backend.required_app is not None and not apps.is_installed(backend.required_app):
            found.append(_app_warning(backend, backend.required_app))
        found += backend.check()
    return found


@register("signals_plus")
def check_transactions(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """E010: a queue that joins the transaction is on another database than the rows."""
    return [
        _e010(receiver, model, written_to, alias)
        for receiver in registry
        if (alias := backends[receiver.options.backend].transaction_alias) is not None
        for model in receiver.sender_models()
        if (written_to := router.db_for_write(model)) != alias
    ]


@register("signals_plus")
def check_signals_modules(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """W001: a ``signals.py`` of the project connects receivers and was never imported."""
    imported = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    found: list[CheckMessage] = []
    for app in app_configs or apps.get_app_configs():
        is_library = {"site-packages", "dist-packages"}.intersection(Path(app.path).parts)
        is_package = hasattr(app.module, "__path__")
        if is_library or not is_package or f"{app.name}.signals" in sys.modules:
            continue
        spec = find_spec(f"{app.name}.signals")
        if spec is None or spec.origin is None or spec.origin in imported:
            continue
        if _connects_receivers(Path(spec.origin)):
            found.append(
                CheckWarning(
                    f"{app.name}.signals connects receivers, but nothing imports it: they never "
                    "run.",
                    hint="Rename it to receivers.py, add 'signals' to SIGNALS_PLUS_AUTODISCOVER, "
                    "or import it in the app's AppConfig.ready().",
                    obj=app,
                    id="signals_plus.W001",
                )
            )
    return found


def _e002(problem: str, hint: str) -> CheckMessage:
    return Error(problem, hint=hint, id="signals_plus.E002")


def _e010(receiver: TaskReceiver, model: type[Model], written_to: str, alias: str) -> CheckMessage:
    return Error(
        f"Receiver {receiver.name!r} is a task that is enqueued within transactions on {alias!r}, "
        f"and {model._meta.label} is written to {written_to!r}: each save would fail.",
        hint="Name a backend without enqueue_in_transaction, which enqueues after the commit.",
        id="signals_plus.E010",
    )


def _app_warning(backend: BaseBackend, app: str) -> CheckMessage:
    return CheckWarning(
        f"Receivers are tasks of the backend {backend.alias!r} ({type(backend).__name__}), but "
        f"{app!r} is not in INSTALLED_APPS: no worker can be started for them.",
        hint=f"Add {app!r} to INSTALLED_APPS, and run manage.py migrate.",
        id="signals_plus.W013",
    )


def _connects_receivers(path: Path) -> bool:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # a compiled module, or one that is for others to report
        return False
    return any(
        isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in DECORATORS)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in {"connect", *DECORATORS})
        )
        for node in ast.walk(tree)
    )
