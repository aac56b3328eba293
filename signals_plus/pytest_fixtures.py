"""The helpers of ``signals_plus.testing`` as fixtures and a marker, for pytest 8 and newer.

Nothing is imported before a test asks for it, neither Django nor the package. Nothing happens in
tests that ask for nothing. ``-p no:signals_plus`` switches it off.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from .testing import capture_signals as CaptureSignals  # noqa: N812 - a class
    from .testing import capture_tasks as CaptureTasks  # noqa: N812
    from .testing import isolated_receivers as IsolatedReceivers  # noqa: N812
    from .testing import run_on_commit as RunOnCommit  # noqa: N812

MARKER = "mute_signals"

# The fixtures of pytest-django that begin the test's transaction. It has to be there first.
DATABASE_FIXTURES = (
    "transactional_db",
    "db",
    "django_db_reset_sequences",
    "django_db_serialized_rollback",
    "live_server",
)

HelperT = TypeVar("HelperT")

_muted = pytest.StashKey[ExitStack]()
_loud = pytest.StashKey["RunOnCommit"]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(*signals, senders=(), receivers=(), except_=(), all_threads=False): mute these "
        "signals while the test runs, its fixtures included (signals_plus).",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin what the markers say: those of the module first, those of the test last."""
    markers = list(item.iter_markers(MARKER))
    if not markers:
        return
    testing = _testing(f"the marker {MARKER}")
    item.stash[_muted] = stack = ExitStack()
    for marker in reversed(markers):
        stack.enter_context(testing.mute_signals(*marker.args, **marker.kwargs))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """End it, when the last fixture is done."""
    try:
        return (yield)
    finally:
        if stack := item.stash.get(_muted, None):
            stack.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let the test itself fail of what production would only have logged."""
    _take_along(item)
    result = yield
    if helper := item.stash.get(_loud, None):
        helper.raise_errors()
    return result


@pytest.fixture
def mute_signals() -> Iterator[Callable[..., None]]:
    """Mute signals from the call to the end of the test; arguments as for ``mute_signals``."""
    testing = _testing("mute_signals")
    with ExitStack() as stack:

        def mute(*signals: Any, **what: Any) -> None:
            stack.enter_context(testing.mute_signals(*signals, **what))

        yield mute


@pytest.fixture
def capture_signals() -> Iterator[Callable[..., CaptureSignals]]:
    """Keep what is sent, from the call to the end of the test, and return it."""
    testing = _testing("capture_signals")
    with ExitStack() as stack:

        def capture(*signals: Any, **how: Any) -> CaptureSignals:
            captured: CaptureSignals = stack.enter_context(testing.capture_signals(*signals, **how))
            return captured

        yield capture


@pytest.fixture
def run_on_commit(request: pytest.FixtureRequest) -> Iterator[RunOnCommit]:
    """Let commits count in the test."""
    with _in_the_transaction(request, _testing("run_on_commit").run_on_commit()) as helper:
        request.node.stash[_loud] = helper
        yield helper


@pytest.fixture
def capture_tasks(request: pytest.FixtureRequest) -> Iterator[CaptureTasks]:
    """Keep the tasks that the test enqueues. Commits count."""
    with _in_the_transaction(request, _testing("capture_tasks").capture_tasks()) as tasks:
        request.node.stash[_loud] = tasks.commits
        yield tasks


@pytest.fixture
def isolated_receivers() -> Iterator[IsolatedReceivers]:
    """Undo at the end of the test what it connects and disconnects."""
    with _testing("isolated_receivers").isolated_receivers() as helper:
        yield helper


@contextmanager
def _in_the_transaction(
    request: pytest.FixtureRequest, helper: AbstractContextManager[HelperT]
) -> Iterator[HelperT]:
    """Begin after the test's transaction, and end before it."""
    for name in DATABASE_FIXTURES:
        if name in request.fixturenames:
            request.getfixturevalue(name)
    test = request.instance
    if not hasattr(test, "enterContext"):
        with helper as begun:
            yield begun
        return
    # A unittest class begins its transaction by itself, after all fixtures.
    set_up = test.setUp

    def setUp() -> None:
        test.enterContext(helper)
        set_up()

    test.setUp = setUp
    yield cast(HelperT, helper)


def _take_along(item: pytest.Item) -> None:
    """Let tests that run in a context of their own have what marker and fixtures began.

    An asyncio test of unittest has one that was made with the test; one of anyio that of the first
    coroutine of its runner, which may be a fixture of the module.
    """
    contexts = sys.modules.get("signals_plus.contexts")
    if contexts is None:
        return
    take_along = contexts.taken_along()
    cases = sys.modules.get("unittest.async_case")
    test = getattr(item, "instance", None)
    if cases and isinstance(test, cases.IsolatedAsyncioTestCase):
        set_up = test.setUp

        def setUp() -> None:
            take_along()
            set_up()

        test.setUp = setUp
    elif isinstance(item, pytest.Function) and "anyio_backend" in item.funcargs:
        function = item.obj
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def inside(*args: Any, **kwargs: Any) -> None:
                __tracebackhide__ = True
                take_along()
                await function(*args, **kwargs)

            item.obj = inside


def _testing(wanted: str) -> Any:
    """Import the helpers; skip the test where there is no Django project."""
    django_conf = pytest.importorskip("django.conf")
    if not django_conf.settings.configured and not _settings_are_named():
        pytest.skip(
            f"{wanted} needs a Django project: set DJANGO_SETTINGS_MODULE, or call "
            "settings.configure() and django.setup() in conftest.py"
        )
    from . import testing  # noqa: PLC0415 - not before a test asks for it

    return testing


def _settings_are_named() -> bool:
    return bool(os.environ.get("DJANGO_SETTINGS_MODULE"))
