"""What starting Django does: receivers are found, and a broken module is not passed over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

SCRIPT = """
import django
from django.conf import settings

settings.configure(
    DEBUG=False,
    INSTALLED_APPS={apps},
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}}},
    USE_TZ=True,
    {settings}
)
django.setup()
from django.core.signals import request_finished
from signals_plus.testing import receivers_of
print(sorted(
    receiver.__qualname__
    for receiver in receivers_of(request_finished)
    if receiver.__module__.startswith("shop")
))
from django.core.management import call_command
call_command("check")
"""
RECEIVERS = """
from django.core.signals import request_finished
from signals_plus import receiver

@receiver(request_finished)
def count(sender, **kwargs): ...
"""


def start(
    folder: Path,
    *,
    modules: dict[str, str],
    apps: Any = ("signals_plus", "shop"),
    settings: str = "",
) -> subprocess.CompletedProcess[str]:
    """Start a project whose app ``shop`` has these modules, and run its checks."""
    (folder / "shop").mkdir()
    for name, source in {"__init__": "", **modules}.items():
        (folder / "shop" / f"{name}.py").write_text(dedent(source))
    (folder / "start.py").write_text(SCRIPT.format(apps=list(apps), settings=settings))
    return subprocess.run(
        [sys.executable, "start.py"], cwd=folder, capture_output=True, text=True, timeout=60,
        check=False, env={**_environment(), "PYTHONPATH": f"{_root()}:{folder}"},
    )  # fmt: skip


def _environment() -> dict[str, str]:
    import os

    return {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}


def _root() -> Path:
    import signals_plus

    return Path(signals_plus.__file__).resolve().parent.parent


class TestAutodiscover:
    @pytest.mark.parametrize("apps", [("signals_plus", "shop"), ("shop", "signals_plus")])
    def test_receivers_modules_are_imported(self, tmp_path: Path, apps: tuple[str, ...]) -> None:
        """In whatever order the apps are installed."""
        result = start(tmp_path, modules={"receivers": RECEIVERS}, apps=apps)

        assert "['count']" in result.stdout, result.stderr
        assert result.returncode == 0

    def test_an_explicit_import_beside_it_changes_nothing(self, tmp_path: Path) -> None:
        """An app that imports its receivers in ready() connects them once."""
        ready = """
            from django.apps import AppConfig

            class ShopConfig(AppConfig):
                name = "shop"
                def ready(self):
                    from . import receivers
        """

        result = start(tmp_path, modules={"receivers": RECEIVERS, "apps": ready})

        assert "['count']" in result.stdout, result.stderr

    def test_other_names_and_none(self, tmp_path: Path) -> None:
        """SIGNALS_PLUS_AUTODISCOVER names the modules; an empty list turns it off."""
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()

        named = start(
            tmp_path / "a",
            modules={"handlers": RECEIVERS},
            settings="SIGNALS_PLUS_AUTODISCOVER=['handlers'],",
        )
        off = start(
            tmp_path / "b",
            modules={"receivers": RECEIVERS},
            settings="SIGNALS_PLUS_AUTODISCOVER=[],",
        )

        assert "['count']" in named.stdout, named.stderr
        assert "[]" in off.stdout, off.stderr

    def test_e001_a_module_that_fails_stops_the_start(self, tmp_path: Path) -> None:
        """A web server runs no checks: the error itself carries the id and what to do."""
        result = start(tmp_path, modules={"receivers": "import no_such_library"})

        assert result.returncode != 0
        assert "ModuleNotFoundError: No module named 'no_such_library'" in result.stderr
        assert "signals_plus.E001: a module 'receivers'" in result.stderr


class TestTaskReceiversAtStart:
    def test_an_option_of_no_celery_task_stops_the_start(self, tmp_path: Path) -> None:
        """A typo in an option is known before the first message."""
        tasks = RECEIVERS.replace(
            "@receiver(request_finished)", "@receiver_task(request_finished, rat_limit=1)"
        )

        result = start(
            tmp_path,
            modules={"receivers": tasks.replace("import receiver", "import receiver_task")},
        )

        assert result.returncode != 0
        assert "'shop.receivers.count' has the option 'rat_limit'" in result.stderr


class TestCeleryAtStart:
    def test_makes_no_app_of_its_own(self, tmp_path: Path) -> None:
        """Celery's fallback app would become the default of all threads but the main one."""
        late = """
            from django.apps import AppConfig

            class ShopConfig(AppConfig):
                name = "shop"

                def ready(self):
                    import threading
                    from celery import Celery, current_app
                    Celery("shop", broker="memory://", set_as_current=True).set_default()
                    names = []
                    thread = threading.Thread(target=lambda: names.append(current_app.main))
                    thread.start()
                    thread.join()
                    print("other thread:", names)
        """
        tasks = RECEIVERS.replace("receiver", "receiver_task")

        result = start(tmp_path, modules={"receivers": tasks, "apps": late})

        assert "other thread: ['shop']" in result.stdout, result.stderr


class TestSettings:
    def test_a_limit_of_payloads_that_is_none_stops_the_start(self, tmp_path: Path) -> None:
        """It is read after commits, where an error would cost the tasks."""
        ended = start(tmp_path, modules={}, settings='SIGNALS_PLUS_MAX_PAYLOAD_BYTES="1 MB",')

        assert ended.returncode != 0
        assert "SIGNALS_PLUS_MAX_PAYLOAD_BYTES is '1 MB': it has to be a whole" in ended.stderr
