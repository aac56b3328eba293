"""What the package says of itself is true, and importing it asks for nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from django.core.management import call_command

import signals_plus

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TESTS_A_WHEEL = os.environ.get("SIGNALS_PLUS_TEST_WHEEL") == "1"


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that Django's settings are not chosen for."""
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    here = str(Path(signals_plus.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment | {"PYTHONPATH": here},
        capture_output=True,
        text=True,
        check=False,
    )


class TestVersion:
    def test_installed(self) -> None:
        """What pip shows is what the package says."""
        try:
            installed = metadata.version("django-signals-plus")
        except metadata.PackageNotFoundError:
            pytest.skip("not installed here; tox installs it")

        assert installed == signals_plus.__version__

    def test_changelog(self) -> None:
        """The changelog begins with this version, or with what is not released yet."""
        changelog = (ROOT / "CHANGELOG.md").read_text()

        headings = re.findall(r"^## \[?([\w.]+)", changelog, re.MULTILINE)

        assert headings[0] in {signals_plus.__version__, "Unreleased"}


class TestMetadata:
    def test_django_has_no_ceiling(self) -> None:
        """A ceiling would make pip choose an old release in silence when a new Django comes."""
        assert PYPROJECT["project"]["dependencies"] == ["Django>=5.2"]

    def test_classifiers_name_what_tox_tests(self) -> None:
        """A Django version is declared if, and only if, it is tested."""
        declared = re.findall(r"Framework :: Django :: ([\d.]+)", str(PYPROJECT["project"]))
        tested = re.findall(r"Django~=([\d.]+)\.0", (ROOT / "tox.ini").read_text())

        assert set(declared) == set(tested)


class TestImport:
    def test_needs_no_settings(self) -> None:
        """Importing and decorating work before settings are configured."""
        result = run(
            "import signals_plus, signals_plus.testing\n"
            "from django.conf import settings\n"
            "from django.db.models.signals import post_save\n"
            "@signals_plus.receiver_on_commit(post_save, sender='shop.Order')\n"
            "def f(**kwargs): ...\n"
            "assert not settings.configured\n"
        )

        assert result.returncode == 0, result.stderr

    def test_imports_no_queue_and_no_models(self) -> None:
        """Celery may be absent, and Django's own apps are left alone."""
        result = run(
            "import sys\n"
            "sys.modules.update(celery=None, kombu=None)\n"  # None: cannot be imported
            "import signals_plus, signals_plus.testing, signals_plus.apps\n"
            "loaded = [name for name in sys.modules if name.endswith('.models')\n"
            "          and name.startswith(('django.contrib', 'signals_plus'))]\n"
            "assert loaded == [], loaded\n"
        )

        assert result.returncode == 0, result.stderr


@pytest.mark.django_db(databases=["default", "other"])
def test_no_migration_is_missing() -> None:
    """What the models of the app are is what its migrations make."""
    labels = ("signals_plus", "signals_plus_outbox")
    call_command("makemigrations", *labels, "--check", "--dry-run", verbosity=0)


@pytest.mark.skipif(not TESTS_A_WHEEL, reason="tox -e package tests the wheel")
class TestWheel:
    def test_is_what_runs(self) -> None:
        """These tests import the installed package, not the source folder."""
        libraries = Path(sysconfig.get_path("purelib")).resolve()

        assert libraries in Path(signals_plus.__file__).resolve().parents

    def test_holds_the_package_alone(self) -> None:
        """No tests, no example, and the marker for type checkers."""
        files = metadata.files("django-signals-plus") or []
        folders = {file.parts[0] for file in files}

        assert {folder for folder in folders if not folder.endswith(".dist-info")} == {
            "signals_plus"
        }
        assert "signals_plus/py.typed" in map(str, files)

    def test_holds_the_pages_of_the_admin(self) -> None:
        """Which are no Python files."""
        files = set(map(str, metadata.files("django-signals-plus") or []))
        folder = "signals_plus/outbox/templates/signals_plus_outbox"

        assert {f"{folder}/confirm_action.html", f"{folder}/messages.html"} <= files

    def test_holds_the_licence(self) -> None:
        """The licence's text travels with every copy."""
        files = metadata.files("django-signals-plus") or []

        assert any(file.name == "LICENSE" for file in files)
