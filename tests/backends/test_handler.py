"""Backends by alias."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import Any

import pytest

from signals_plus.backends.base import BaseBackend, Task
from signals_plus.backends.handler import backends
from signals_plus.exceptions import SettingsError


class Recorder(BaseBackend):
    """A backend that does nothing."""

    closed = False

    def register(self, task: Task) -> None: ...

    def enqueue(self, task: Task, payload: str) -> None: ...

    def close(self) -> None:
        self.closed = True


def uninstall(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Let this library not be there, its modules that other tests have imported included."""
    monkeypatch.delitem(sys.modules, f"signals_plus.backends.{library}", raising=False)
    for name in {library, *sys.modules}:
        if name.partition(".")[0] == library:
            monkeypatch.setitem(sys.modules, name, None)


class TestBackendHandler:
    def test_builds_a_backend_once(self, settings: Any) -> None:
        """All threads get the same object, with the alias and the options of the settings."""
        settings.SIGNALS_PLUS_BACKENDS = {
            "mail": {"BACKEND": f"{__name__}.Recorder", "OPTIONS": {"a": 1}}
        }
        found: list[BaseBackend] = []

        threads = [threading.Thread(target=lambda: found.append(backends["mail"])) for _ in "12345"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(found)) == 1
        assert isinstance(found[0], Recorder)
        assert (found[0].alias, found[0].options) == ("mail", {"a": 1})

    def test_reads_changed_settings(self, settings: Any) -> None:
        """override_settings takes effect, and the backend of before is closed."""
        settings.SIGNALS_PLUS_BACKENDS = {"mail": {"BACKEND": f"{__name__}.Recorder"}}
        before = backends["mail"]

        settings.SIGNALS_PLUS_BACKENDS = {
            "mail": {"BACKEND": f"{__name__}.Recorder", "OPTIONS": {"a": 1}}
        }

        assert backends["mail"] is not before
        assert before.closed  # type: ignore[attr-defined]

    def test_says_what_to_install(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The library that a backend of the package is for is not there."""
        uninstall(monkeypatch, "django_q")
        settings.SIGNALS_PLUS_BACKENDS = {
            "a": {"BACKEND": "signals_plus.backends.django_q.DjangoQBackend"}
        }

        with pytest.raises(SettingsError, match=r"pip install 'django-signals-plus\[django-q\]'"):
            backends["a"]

    def test_says_that_nothing_is_set(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who set no queue did not ask for Celery: the default is told from a setting."""
        uninstall(monkeypatch, "celery")
        with suppress(AttributeError):
            del settings.SIGNALS_PLUS_BACKENDS

        with pytest.raises(SettingsError) as caught:
            backends["default"]

        assert str(caught.value).startswith(
            "SIGNALS_PLUS_BACKENDS is not set, which means Celery, and that cannot be imported ("
        )
        assert str(caught.value).endswith(
            "Name the backend of your queue in it, or install Celery: "
            "pip install 'django-signals-plus[celery]'."
        )

    @pytest.mark.parametrize("path", ["celery.Celeri", "selery.CeleryBackend", "dummy.Dummy"])
    def test_does_not_take_a_typing_error_for_a_missing_library(
        self, path: str, settings: Any
    ) -> None:
        settings.SIGNALS_PLUS_BACKENDS = {"a": {"BACKEND": f"signals_plus.backends.{path}"}}

        with pytest.raises(SettingsError, match="cannot be imported") as caught:
            backends["a"]

        assert "pip install" not in str(caught.value)

    @pytest.mark.parametrize(
        ("configured", "alias", "words"),
        [
            ({}, "default", "has no backend 'default'. Add it, or use one of none"),
            ({"a": {"BACKEND": "x.Y"}}, "b", "has no backend 'b'. Add it, or use one of a"),
            ({"a": {"BACKEND": "x.Y"}}, "a", "names 'x.Y' for 'a', which cannot be imported"),
            ({"a": {"BACKEND": "builtins.dict"}}, "a", "'builtins.dict', which is no backend"),
            (
                {"a": {"BACKEND": "signals_plus.backends.base.BaseBackend"}},
                "a",
                r"BaseBackend', which is the start of a backend: it has no enqueue\(\)\. Name the",
            ),
            ({"a": {}}, "a", "has to be a dictionary by alias"),
        ],
    )
    def test_says_what_is_wrong(
        self, configured: Any, alias: str, words: str, settings: Any
    ) -> None:
        """An unknown alias, a path that leads nowhere, a class that is no backend, or not yet."""
        settings.SIGNALS_PLUS_BACKENDS = configured

        with pytest.raises(SettingsError, match=words):
            backends[alias]
