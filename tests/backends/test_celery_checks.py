"""W002, W003 and W004: what system checks say of the project's Celery app."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, _state
from django.core.checks import CheckMessage

from signals_plus.backends.handler import backends
from tests.backends.conftest import MakeApp

PROJECT = {
    "__init__.py": "from .celery import app as celery_app",
    "celery.py": (
        "import os\n"
        "from celery import Celery\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop_project.settings')\n"
        "app = Celery({name})\n"
        "app.config_from_object('django.conf:settings', namespace='CELERY')\n"
        "app.autodiscover_tasks()\n"
    ),
    "settings.py": (
        "SECRET_KEY = 'x'\n"
        "DEBUG = {debug}\n"
        "INSTALLED_APPS = ['django.contrib.contenttypes', 'signals_plus', 'shop_project']\n"
        "DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'x'}}}}\n"
        "CELERY_BROKER_URL = {broker}\n"
    ),
    "receivers.py": (
        "from django.db.models.signals import post_save\n"
        "from signals_plus import receiver_task\n"
        "@receiver_task(post_save, sender='contenttypes.ContentType')\n"
        "def handle(sender, **kwargs): pass\n"
    ),
    "manage.py": (
        "import os, sys\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop_project.settings')\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(sys.argv)\n"
    ),
}


def check(folder: Path, *, name: str = "'shop'", debug: bool = False, **changed: str) -> str:
    """Run ``manage.py check`` in a new project, some of its files changed; return what it said."""
    (folder / "shop_project").mkdir()
    for file, text in PROJECT.items():
        text = changed.get(file.removesuffix(".py"), text)
        text = text.format(name=name, debug=debug, broker="'amqp://127.0.0.1'")
        place = folder if file == "manage.py" else folder / "shop_project"
        (place / file).write_text(text)
    environment = {key: each for key, each in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    paths = [str(Path(__file__).parent.parent.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=folder, capture_output=True, text=True,
        check=False, env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    return done.stdout + done.stderr


def ids(found: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in found]


class TestW002:
    def test_is_silent_in_a_project_as_celery_describes_it(self, tmp_path: Path) -> None:
        """__init__.py imports the app from celery.py."""
        assert "no issues" in check(tmp_path)

    def test_is_silent_for_an_app_without_a_name(self, tmp_path: Path) -> None:
        """Celery() needs no name."""
        assert "no issues" in check(tmp_path, name="")

    def test_is_silent_for_an_app_that_is_called_default(self, tmp_path: Path) -> None:
        """As Celery's own fallback is, but configured."""
        assert "no issues" in check(tmp_path, name="'default'")

    @pytest.mark.parametrize("debug", [True, False])
    def test_warns_when_nothing_imports_the_app(self, tmp_path: Path, debug: bool) -> None:
        """Celery would look for a RabbitMQ on localhost, in development too."""
        said = check(tmp_path, debug=debug, __init__="")

        assert "(signals_plus.W002)" in said
        assert "from .celery import app as celery_app" in said

    def test_is_silent_without_task_receivers(self, tmp_path: Path) -> None:
        """A project that has none needs no Celery."""
        assert "no issues" in check(tmp_path, __init__="", receivers="")

    def test_is_about_the_apps_of_all_threads(self, make_app: MakeApp) -> None:
        """An app that is current only in the thread that made it is what that thread uses."""
        make_app()
        _state._tls.current_app = None

        assert ids(backends["default"].check()) == ["signals_plus.W003"]


class TestW003:
    @pytest.mark.parametrize(
        ("conf", "what"),
        [
            ({"broker": "memory://"}, "its broker is memory"),
            ({"broker": "amqp://", "task_always_eager": True}, "task_always_eager is on"),
        ],
    )
    def test_warns_of_what_runs_in_no_worker(
        self, conf: dict[str, Any], what: str, make_app: MakeApp
    ) -> None:
        """Left over from development, it goes unnoticed in production."""
        make_app(**conf)

        (warning,) = backends["default"].check()

        assert warning.id == "signals_plus.W003"
        assert what in warning.msg

    def test_is_silent_in_development(self, make_app: MakeApp, settings: Any) -> None:
        """With DEBUG on it is what many want."""
        settings.DEBUG = True
        make_app(task_always_eager=True)

        assert backends["default"].check() == []


class TestW004:
    @pytest.mark.parametrize(
        "broker",
        [
            "redis://localhost",
            "rediss://localhost?ssl_cert_reqs=required",
            "redis://a;redis://b",
            "sentinel://a:26379;sentinel://b:26379",
        ],
    )
    @pytest.mark.parametrize(
        ("options", "found"),
        [
            ({}, ["signals_plus.W004"]),
            ({"socket_connect_timeout": 5}, ["signals_plus.W004"]),
            ({"socket_timeout": None}, ["signals_plus.W004"]),
            ({"socket_timeout": 5}, []),
        ],
    )
    def test_warns_of_redis_without_a_timeout(
        self, broker: str, options: dict[str, Any], found: list[str], make_app: MakeApp
    ) -> None:
        """Alone, with TLS, in a failover list and behind Sentinel."""
        make_app(broker, broker_transport_options=options)

        assert ids(backends["default"].check()) == found

    @pytest.mark.parametrize("broker", ["amqp://localhost", "pyamqp://a;pyamqp://b"])
    def test_is_silent_for_other_brokers(self, broker: str, make_app: MakeApp) -> None:
        """The warning is about a client that waits without any limit."""
        make_app(broker)

        assert backends["default"].check() == []

    def test_leaves_an_unknown_transport_to_celery(self, make_app: MakeApp) -> None:
        """Celery's own error, when it is used, says what there is."""
        app: Celery = make_app("nosuch://localhost")

        assert app.conf.broker_url == "nosuch://localhost"
        assert backends["default"].check() == []
