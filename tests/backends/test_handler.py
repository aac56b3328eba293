"""Backends by alias."""

from __future__ import annotations

import threading
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

    @pytest.mark.parametrize(
        ("path", "is_extra"),
        [("celery.Celeri", True), ("thread.ThreadsBackend", False), ("dummy.Dummy", False)],
    )
    def test_says_what_may_be_missing(self, path: str, is_extra: bool, settings: Any) -> None:
        """An extra of the package, if the module needs one."""
        settings.SIGNALS_PLUS_BACKENDS = {"a": {"BACKEND": f"signals_plus.backends.{path}"}}

        with pytest.raises(SettingsError, match="cannot be imported") as caught:
            backends["a"]

        assert ("pip install 'django-signals-plus[" in str(caught.value)) == is_extra

    @pytest.mark.parametrize(
        ("configured", "alias", "words"),
        [
            ({}, "default", "has no backend 'default'. Add it, or use one of none"),
            ({"a": {"BACKEND": "x.Y"}}, "b", "has no backend 'b'. Add it, or use one of a"),
            ({"a": {"BACKEND": "x.Y"}}, "a", "names 'x.Y' for 'a', which cannot be imported"),
            ({"a": {"BACKEND": "builtins.dict"}}, "a", "'builtins.dict', which is no backend"),
            ({"a": {}}, "a", "has to be a dictionary by alias"),
        ],
    )
    def test_says_what_is_wrong(
        self, configured: Any, alias: str, words: str, settings: Any
    ) -> None:
        """An unknown alias, a path that leads nowhere, a class that is no backend."""
        settings.SIGNALS_PLUS_BACKENDS = configured

        with pytest.raises(SettingsError, match=words):
            backends[alias]
