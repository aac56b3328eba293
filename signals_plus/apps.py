"""What happens when Django starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from .conf import settings
from .registry import registry


class SignalsPlusConfig(AppConfig):
    """Import the receivers of all apps, then tell the queues of the tasks among them."""

    name = "signals_plus"
    verbose_name = "Signals plus"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401, PLC0415 - registers itself once apps are loaded

        for module in settings.autodiscover:
            _import_from_all_apps(module)
        _ = settings.max_payload_bytes  # a wrong one is an error now, and not after a commit
        registry.go_live()


def _import_from_all_apps(module: str) -> None:
    try:
        autodiscover_modules(module)
    except Exception as error:
        # Not a system check: a web server runs none, and would start without its receivers.
        error.add_note(
            f"signals_plus.E001: a module {module!r} of an installed app failed to import while "
            "receivers were discovered. Correct the error above, or take it out of "
            "SIGNALS_PLUS_AUTODISCOVER."
        )
        raise
