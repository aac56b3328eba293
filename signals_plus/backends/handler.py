"""The backends of the settings, by alias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ..conf import DEFAULT_BACKENDS, settings
from ..exceptions import SettingsError
from .base import BaseBackend


class BackendHandler:
    """Build each backend when it is first asked for, once per process."""

    def __init__(self) -> None:
        self._backends: dict[str, BaseBackend] = {}
        #: Asked first, whatever the settings say; for tests that capture what is enqueued.
        self.stand_in: Callable[[str], BaseBackend | None] | None = None

    def __getitem__(self, alias: str) -> BaseBackend:
        """Return the backend of an alias.

        Raises:
            SettingsError: The alias is not in ``SIGNALS_PLUS_BACKENDS``, or its entry is wrong.
        """
        if self.stand_in is not None and (backend := self.stand_in(alias)):
            return backend
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
            if entries is DEFAULT_BACKENDS:
                problem = (
                    f"is not set, which means Celery, and that cannot be imported ({error}). Name "
                    f"the backend of your queue in it, or install Celery{_extra(path, error)}."
                )
            else:
                problem = (
                    f"names {path!r} for {alias!r}, which cannot be imported ({error}). Correct "
                    f"the path, or install what it needs{_extra(path, error)}."
                )
            raise SettingsError("SIGNALS_PLUS_BACKENDS", problem) from error
        if not (isinstance(backend, type) and issubclass(backend, BaseBackend)):
            raise SettingsError("SIGNALS_PLUS_BACKENDS", f"names {path!r}, which is no backend.")
        if missing := backend.__abstractmethods__:
            raise SettingsError(
                "SIGNALS_PLUS_BACKENDS",
                f"names {path!r}, which is the start of a backend: it has no "
                f"{', '.join(sorted(missing))}(). Name the backend of your queue.",
            )
        return backend(alias, entries[alias].get("OPTIONS", {}))


def _extra(path: str, error: ImportError) -> str:
    """Return how to install the library that a backend of this package misses."""
    package, _, module = path.rpartition(".")[0].rpartition(".")
    is_library = isinstance(error, ModuleNotFoundError) and error.name != f"{package}.{module}"
    if package != __package__ or not is_library:
        return ""
    return f": pip install 'django-signals-plus[{module.replace('_', '-')}]'"


backends = BackendHandler()


def _settings_changed(*, setting: str, **kwargs: Any) -> None:
    if setting == "SIGNALS_PLUS_BACKENDS":
        backends.forget()


setting_changed.connect(_settings_changed, dispatch_uid="signals_plus.backends")
