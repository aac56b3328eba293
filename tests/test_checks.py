"""System checks, by id."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db.models.signals import post_save

from signals_plus import checks, receiver_task
from tests.testapp.models import Item

CONNECTS = "from django.dispatch import receiver\n@receiver(some_signal)\ndef f(**kwargs): ...\n"


def ids(found: list[Any]) -> list[str]:
    return [message.id for message in found if message.id.startswith("signals_plus.")]


@pytest.fixture
def make_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Callable[[str], str]:
    """Install an app of the project whose signals.py has this source."""

    def make(source: str) -> str:
        name = f"shop_{tmp_path.name}"
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "signals.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, name]
        return name

    return make


class TestTheWholeProject:
    @pytest.mark.django_db(databases=["default", "other"])
    def test_has_nothing_to_say_of_the_test_project(self, settings: Any) -> None:
        """A project without mistakes gets no messages."""
        settings.DEBUG = True

        assert ids(run_checks()) == []


class TestW001:
    @pytest.mark.parametrize(
        "source",
        [
            CONNECTS,
            "post_save.connect(f)\n",
            "@signals_plus.receiver_on_commit(some_signal)\ndef f(**kwargs): ...\n",
        ],
    )
    def test_receivers_in_a_signals_module_that_nothing_imports(
        self, make_app: Callable[[str], str], source: str
    ) -> None:
        """They never run, and nothing else would ever say so."""
        name = make_app(source)

        (warning,) = checks.check_signals_modules(None)

        assert warning.id == "signals_plus.W001"
        assert f"{name}.signals connects receivers" in warning.msg
        assert "receivers.py" in str(warning.hint)

    def test_not_once_it_is_imported(self, make_app: Callable[[str], str]) -> None:
        """Under whatever name."""
        name = make_app(
            "pre = post = None\nclass S:\n    def connect(self, f): ...\nS().connect(1)\n"
        )
        assert ids(checks.check_signals_modules(None)) == ["signals_plus.W001"]

        __import__(f"{name}.signals")

        assert checks.check_signals_modules(None) == []
        del sys.modules[f"{name}.signals"]

    def test_not_for_a_module_that_only_defines_signals(
        self, make_app: Callable[[str], str]
    ) -> None:
        """A signals.py with nothing but Signal() is fine."""
        make_app("from django.dispatch import Signal\npaid = Signal()\n")

        assert checks.check_signals_modules(None) == []

    def test_not_for_a_module_it_cannot_read(self, make_app: Callable[[str], str]) -> None:
        """A syntax error is for whoever imports it."""
        make_app("def broken(:\n")

        assert checks.check_signals_modules(None) == []


class TestW013:
    @pytest.mark.parametrize(
        ("path", "app"),
        [("rq.RQBackend", "django_rq"), ("django_q.DjangoQBackend", "django_q")],
    )
    @pytest.mark.parametrize("debug", [True, False])
    def test_an_app_that_the_queue_needs(
        self, path: str, app: str, debug: bool, settings: Any
    ) -> None:
        """Tasks are enqueued all the same, and no worker can be started for them."""
        settings.DEBUG = debug
        settings.RQ_QUEUES = {"default": {"SERIALIZER": "rq.serializers.JSONSerializer"}}
        settings.SIGNALS_PLUS_BACKENDS = {
            "default": {"BACKEND": "signals_plus.backends.dummy.DummyBackend"},
            "mail": {"BACKEND": f"signals_plus.backends.{path}"},
        }
        receiver_task(post_save, sender=Item, backend="mail", name="shop.a")(lambda **kwargs: None)

        (warning,) = (
            each for each in checks.check_backends(None) if each.id == "signals_plus.W013"
        )
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, app]
        found = ids(checks.check_backends(None))

        assert f"'{app}' is not in INSTALLED_APPS" in warning.msg
        assert "'mail'" in warning.msg
        assert "migrate" in str(warning.hint)
        assert "signals_plus.W013" not in found


class TestE002:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("AUTODISCOVER", "receivers"),
            ("BACKENDS", {"default": "celery"}),
            ("BACKENDS", []),
            ("BACKENDS", {"default": {"BACKEND": "a.B", "OPTIONS": None}}),
            ("BACKENDS", {"default": {"BACKEND": "a.B", "OPTION": {}}}),
            ("EXCLUDED_SENDERS", [1]),
            ("MAX_CHAIN_DEPTH", 0),
            ("MAX_CHAIN_DEPTH", True),
        ],
    )
    def test_a_setting_that_cannot_be_read(self, settings: Any, name: str, value: Any) -> None:
        """With the value and what it has to be."""
        setattr(settings, f"SIGNALS_PLUS_{name}", value)

        (error,) = checks.check_settings(None)

        assert error.id == "signals_plus.E002"
        assert f"SIGNALS_PLUS_{name} is {value!r}: it has to be" in error.msg

    def test_an_unknown_setting(self, settings: Any) -> None:
        """A misspelt setting would be without effect."""
        settings.SIGNALS_PLUS_MAX_DEPTH = 5

        (error,) = checks.check_settings(None)

        assert error.id == "signals_plus.E002"
        assert "SIGNALS_PLUS_MAX_DEPTH" in error.msg


class TestAppOfOneModule:
    def test_has_no_signals_module(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        """An app may be a single module, and the checks of its project run."""
        (tmp_path / "single_module_app.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "single_module_app"]

        assert checks.check_signals_modules(None) == []
