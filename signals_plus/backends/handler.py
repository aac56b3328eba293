"""The backends of the settings, by alias."""

from __future__ import annotations

from typing import Any

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ..conf import settings
from ..exceptions import SettingsError
from .base import BaseBackend


class BackendHandler:
    """Build each backend when it is first asked for, once per process."""

    def __init__(self) -> None:
        self._backends: dict[str, BaseBackend] = {}

    def __getitem__(self, alias: str) -> BaseBackend:
        """Return the backend of an alias.

        Raises:
            SettingsError: The alias is not in ``SIGNALS_PLUS_BACKENDS``, or its entry is wrong.
        """
        # Without a lock: building imports the backend, which may import receivers of this alias.
        if alias not in self._backends:
            self._backends.setdefault(alias, self._build(alias))
        return self._backends[alias]

    def forget(self) -> None:
        """Read the settings again."""
        forgotten, self._backends = self._backends, {}
        for backend in forgotten.values():
            backend.close()

    def _build(self, alias: str) -> BaseBackend:
        entries = settings.backends
        if alias not in entries:
            raise SettingsError(
                "SIGNALS_PLUS_BACKENDS",
                f"has no backend {alias!r}. Add it, or use one of {', '.join(entries) or 'none'}.",
            )
        path = entries[alias]["BACKEND"]
        try:
            backend = import_string(path)
        except ImportError as error:
            raise SettingsError(
                "SIGNALS_PLUS_BACKENDS",
                f"names {path!r} for {alias!r}, which cannot be imported ({error}). Correct the "
                f"path, or install what it needs{_extra(path)}.",
            ) from error
        if not (isinstance(backend, type) and issubclass(backend, BaseBackend)):
            raise SettingsError("SIGNALS_PLUS_BACKENDS", f"names {path!r}, which is no backend.")
        return backend(alias, entries[alias].get("OPTIONS", {}))


_NEED_NOTHING = ("dummy", "immediate", "thread")


def _extra(path: str) -> str:
    """Return how to install what a backend of this package needs."""
    package, _, module = path.rpartition(".")[0].rpartition(".")
    if package != __package__ or module in _NEED_NOTHING:
        return ""
    return f": pip install 'django-signals-plus[{module.replace('_', '-')}]'"


backends = BackendHandler()


def _settings_changed(*, setting: str, **kwargs: Any) -> None:
    if setting == "SIGNALS_PLUS_BACKENDS":
        backends.forget()


setting_changed.connect(_settings_changed, dispatch_uid="signals_plus.backends")
