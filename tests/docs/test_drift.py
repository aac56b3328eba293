"""The reference names everything there is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from django.core.management import BaseCommand, load_command_class
from django.dispatch import Signal

import signals_plus
from signals_plus import conf, exceptions, testing
from signals_plus.backends import _celery_options, _django_q_options
from signals_plus.backends.base import BaseBackend
from signals_plus.backends.celery import CeleryBackend
from signals_plus.backends.django_tasks import DjangoTasksBackend
from signals_plus.backends.dummy import DummyBackend
from signals_plus.backends.immediate import ImmediateBackend
from signals_plus.backends.rq import RQBackend
from signals_plus.backends.thread import ThreadBackend
from signals_plus.conformance.project import Project
from signals_plus.conformance.suite import BackendSuite
from signals_plus.outbox import beat
from signals_plus.outbox import signals as outbox_signals
from signals_plus.outbox.models import Message

ROOT = Path(__file__).parents[2]
SOURCE = Path(signals_plus.__file__).parent
REFERENCE = ROOT / "docs" / "reference"

SETTINGS = [
    f"SIGNALS_PLUS_{name.upper()}"
    for name, member in vars(conf.Settings).items()
    if isinstance(member, property)
]
CHECKS = sorted(
    {
        found
        for path in SOURCE.rglob("*.py")
        for found in re.findall(r"signals_plus\.[EWI]\d{3}", path.read_text(encoding="utf-8"))
    }
)
ERRORS = [
    name
    for name, member in vars(exceptions).items()
    if inspect.isclass(member) and issubclass(member, exceptions.SignalsPlusError)
]


def _reference(page: str) -> str:
    return (REFERENCE / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", signals_plus.__all__)
def test_public_names(name: str) -> None:
    """Each public name has its entry, made from its docstring."""
    assert re.search(rf"auto(function|class):: signals_plus\.{name}\n", _reference("decorators.md"))


@pytest.mark.parametrize("name", sorted({*testing.__all__} - {"mute_signals"}))
def test_helpers_for_tests(name: str) -> None:
    """Each has its entry, made from its docstring."""
    pattern = rf"auto(function|class):: signals_plus\.testing\.{name}\n"
    assert re.search(pattern, _reference("testing.md"))


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name: str) -> None:
    """Each setting has a section."""
    assert f"\n## `{name}`\n" in _reference("settings.md")


@pytest.mark.parametrize("label", conf.DEFAULT_EXCLUDED_SENDERS)
def test_excluded_senders(label: str) -> None:
    """The default is written out."""
    assert f"`{label}`" in _reference("settings.md")


def test_no_other_settings() -> None:
    """The page has no section for a setting that is gone."""
    assert set(re.findall(r"\n## `(SIGNALS_PLUS_\w+)`\n", _reference("settings.md"))) == set(
        SETTINGS
    )


@pytest.mark.parametrize("check", CHECKS)
def test_checks(check: str) -> None:
    """Each check has its row."""
    assert f"\n| `{check}` |" in _reference("checks.md")


def test_no_other_checks() -> None:
    """The page has no row for a check that is gone."""
    rows = re.findall(r"\n\| `(signals_plus\.\w+)` \|", _reference("checks.md"))
    assert sorted(rows) == CHECKS


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    """Each error has a section."""
    assert f"\n## `{name}`\n" in _reference("errors.md")


@pytest.mark.parametrize(
    "option",
    sorted(
        _celery_options.PUBLISH_OPTIONS
        | {name for name in _celery_options.KNOWN_ATTRIBUTES if "retry" in name}
        | _celery_options.OWN_OPTIONS.keys()
        | {"publish_timeout"}
    ),
)
def test_celery_options(option: str) -> None:
    """Each option that the backend treats by name is on its page."""
    assert f"`{option}`" in _reference("celery-backend.md")


@pytest.mark.parametrize(
    "option",
    sorted({*_django_q_options.WANTED, "cluster", "publish_timeout", "enqueue_in_transaction"}),
)
def test_django_q_options(option: str) -> None:
    """Each option that the backend takes is on its page."""
    page = (ROOT / "docs" / "howto" / "django-q.md").read_text(encoding="utf-8")
    assert f"| `{option}` |" in page


@pytest.mark.parametrize(
    "option", sorted({*(RQBackend.option_names or ()), "queue_name", "publish_timeout"})
)
def test_rq_options(option: str) -> None:
    """Each option that the backend takes is on its page."""
    assert f"`{option}`" in (ROOT / "docs" / "howto" / "rq.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (ThreadBackend, "howto/without-a-queue.md"),
        (ImmediateBackend, "howto/without-a-queue.md"),
        (DummyBackend, "howto/without-a-queue.md"),
        (CeleryBackend, "reference/celery-backend.md"),
        (DjangoTasksBackend, "howto/django-tasks.md"),
        (RQBackend, "howto/rq.md"),
    ],
)
def test_options_of_the_backends(kind: type[BaseBackend], page: str) -> None:
    """Each option is on the page, and in the docstring."""
    with pytest.raises(exceptions.SettingsError) as caught:
        kind("default", {"unknown": 1})

    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    names = re.findall(r"\w+", str(caught.value).partition("It takes ")[2])
    assert names
    for name in names:
        assert f"`{name}`" in text or f'"{name}"' in text
        assert f"``{name}``" in str(kind.__doc__)


@pytest.mark.parametrize("name", ["relay_outbox", "requeue_outbox", "prune_outbox", "outbox_stats"])
def test_options_of_the_commands(name: str) -> None:
    """Each option is in the section of its command, and no other one."""
    command = load_command_class("signals_plus.outbox", name)
    own = {
        option
        for action in command.create_parser("manage.py", name)._actions
        for option in action.option_strings
        if option.startswith("--")
    } - {
        option
        for action in BaseCommand().create_parser("manage.py", name)._actions
        for option in action.option_strings
    }

    page = _reference("outbox.md")
    section = page.partition(f"\n### `{name}`\n")[2].partition("\n##")[0]

    assert set(re.findall(r"\n\| `(--[\w-]+)", section)) == own - {"--database"}


@pytest.mark.parametrize(
    "permission", ["view_message", *(codename for codename, _ in Message._meta.permissions)]
)
def test_permissions_of_the_admin(permission: str) -> None:
    """Each has its row."""
    assert f"\n| `signals_plus_outbox.{permission}` |" in _reference("outbox.md")


@pytest.mark.parametrize(
    "signal", [name for name, each in vars(outbox_signals).items() if isinstance(each, Signal)]
)
def test_signals_of_the_outbox(signal: str) -> None:
    """Each has its row."""
    assert f"\n| `{signal}` |" in _reference("outbox.md")


def test_celery_task_of_the_outbox() -> None:
    """Its name, and each of its arguments."""
    page = _reference("outbox.md")

    assert f"\n`{beat.NAME}`" in page
    for argument in inspect.signature(beat.relay.run).parameters:
        assert f"\n| `{argument}` |" in page


def test_attributes_of_the_suite() -> None:
    """Each that a backend may set has its row."""
    page = (ROOT / "docs" / "howto" / "write-a-backend.md").read_text(encoding="utf-8")
    own = {"folder", "web", "process"}

    rows = re.findall(r"\n\| `(\w+)` \|", page.partition("BackendSuite")[2])

    assert rows
    given = {name for kind in BackendSuite.__mro__ for name in inspect.get_annotations(kind)}
    assert sorted(rows) == sorted(given - own)


def test_attributes_of_the_suite_are_documented() -> None:
    """By a comment before each, which is what an editor shows."""
    source = inspect.getsource(Project)
    own = {"folder", "web", "process"}

    for name in inspect.get_annotations(Project).keys() - own:
        assert re.search(rf"    #: .+\n(    #: .+\n)*    {name}: ", source), name


def test_changelog_has_the_version() -> None:
    """The version of the package has an entry."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{signals_plus.__version__}]" in changelog
