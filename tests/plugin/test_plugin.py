"""The pytest plugin, in projects of its users."""

from __future__ import annotations

import pytest

from tests.plugin.projects import DJANGO, Project

WITHOUT_PYTEST_DJANGO = ("-p", "no:django")

FIXTURES = """
import pytest
from django.db import transaction
from django.db.models.signals import post_save
from shop.models import Order
from shop.receivers import confirm, print_label, seen
from signals_plus.testing import receivers_of

@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()

def test_run_on_commit(db, run_on_commit):
    with transaction.atomic():
        Order.objects.create(number="A-17")
        assert seen == []
    assert seen == ["A-17"]

def test_whatever_the_order_of_fixtures(run_on_commit, db):
    Order.objects.create(number="A-17")
    assert seen == ["A-17"]

@pytest.mark.django_db(transaction=True)
def test_real_transaction(run_on_commit):
    Order.objects.create(number="A-17")
    assert seen == ["A-17"]

@pytest.mark.django_db
def test_capture_tasks(capture_tasks):
    order = Order.objects.create(number="A-17")
    capture_tasks.assert_enqueued(print_label, instance=order)
    capture_tasks.run()
    assert seen == ["A-17", "label for A-17"]

@pytest.mark.django_db
def test_capture_signals(capture_signals):
    sent = capture_signals(post_save)
    Order.objects.create(number="A-17")
    sent.assert_sent(post_save, sender=Order, times=1, created=True)

@pytest.mark.django_db
def test_mute_signals(mute_signals, run_on_commit):
    Order.objects.create(number="A-17")
    mute_signals(post_save, senders=[Order])
    Order.objects.create(number="A-18")
    assert seen == ["A-17"]

def test_isolated_receivers(isolated_receivers):
    post_save.connect(len, sender=Order)

def test_nothing_is_left():
    assert receivers_of(post_save, Order) == [confirm, print_label]
    assert "send" not in vars(post_save)
"""

MARKERS = """
import pytest
from django.db.models.signals import post_save
from shop.models import Order
from shop.receivers import confirm, seen

pytestmark = [pytest.mark.django_db, pytest.mark.mute_signals(receivers=[confirm])]

@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()

@pytest.fixture
def order():
    return Order.objects.create(number="A-17")

def test_muted(order, run_on_commit):
    Order.objects.create(number="A-18")
    assert seen == []

@pytest.mark.mute_signals(post_save, senders=[Order])
class TestOrders:
    def test_muted(self, order, capture_tasks):
        Order.objects.create(number="A-18")
        capture_tasks.assert_nothing_enqueued()

def test_the_class_is_over(capture_tasks):
    Order.objects.create(number="A-18")
    assert len(capture_tasks) == 1
"""

FAILING = """
import pytest
from shop.models import Order
from shop.receivers import print_label

@pytest.mark.django_db
def test_of_what_production_logs(run_on_commit):
    Order.objects.create(number="bad")

@pytest.mark.django_db
def test_of_a_task(capture_tasks):
    capture_tasks.assert_enqueued(print_label)

@pytest.mark.mute_signals()
def test_of_a_wrong_marker():
    pass
"""

WITHOUT = """
import django, pytest
django.setup()

@pytest.fixture(scope="session", autouse=True)
def tables():
    from django.test.utils import setup_databases, teardown_databases
    made = setup_databases(verbosity=0, interactive=False)
    yield
    teardown_databases(made, verbosity=0)
"""

UNITTEST = """
import pytest
from django.db import transaction
from django.db.models.signals import post_save
from django.test import TestCase, TransactionTestCase
from shop.models import Order
from shop.receivers import seen
from signals_plus.testing import RunOnCommitMixin

class OrderTests(RunOnCommitMixin, TestCase):
    def test_confirmed(self):
        Order.objects.create(number="A-17")
        assert seen.pop() == "A-17"

@pytest.mark.usefixtures("run_on_commit")
class FixtureTests(TestCase):
    def setUp(self):
        Order.objects.create(number="A-16")

    def test_confirmed(self):
        with transaction.atomic():
            Order.objects.create(number="A-17")
            assert seen == ["A-16"]
        assert [seen.pop(), seen.pop()] == ["A-17", "A-16"]

    async def test_coroutine(self):
        await Order.objects.acreate(number="A-17")
        assert [seen.pop(), seen.pop()] == ["A-17", "A-16"]

@pytest.mark.usefixtures("capture_tasks")
class CapturingTests(TransactionTestCase):
    def test_confirmed(self):
        Order.objects.create(number="A-17")
        assert seen.pop() == "A-17"

@pytest.mark.mute_signals(post_save)
class MutedTests(RunOnCommitMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        Order.objects.create(number="A-17")

    async def test_not_confirmed(self):
        await Order.objects.acreate(number="A-18")
        assert seen == []
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.make_shop()
    project.write("test_fixtures.py", FIXTURES)
    project.write("test_markers.py", MARKERS)
    return project


class TestWithPytestDjango:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("-p", "no:randomly"),
            ("-p", "randomly"),
            ("-n", "2"),
            ("-n", "2", "--dist", "loadfile", "-p", "randomly"),
        ],
    )
    def test_fixtures_and_markers(self, shop: Project, arguments: tuple[str, ...]) -> None:
        """In any order, in one process and in several, with markers checked."""
        result = shop.pytest("-W", "error", "--strict-markers", *arguments, **DJANGO)

        assert result.counts == {"passed": 11}, result.output

    def test_failures_say_why(self, project: Project) -> None:
        """The test itself fails, not its teardown; a wrong marker is its error."""
        project.make_shop()
        project.write("test_failing.py", FAILING)

        result = project.pytest("-p", "no:randomly", **DJANGO)

        assert result.counts == {"failed": 2, "error": 1}, result.output
        assert "FAILED test_failing.py::test_of_what_production_logs" in result.output
        assert "Production logs this and goes on" in result.output
        assert "shop.receivers.print_label was not enqueued." in result.output
        assert "names nothing to mute" in result.output

    def test_without_the_plugin(self, shop: Project) -> None:
        """The fixtures are gone; the marker is unknown."""
        result = shop.pytest("-p", "no:signals_plus", **DJANGO)

        assert "fixture 'run_on_commit' not found" in result.output
        assert result.counts["passed"] == 1, result.output

    def test_without_celery(self, shop: Project) -> None:
        """Capturing needs no queue."""
        shop.write(
            "config.py",
            "import sys\nsys.modules.update(celery=None, kombu=None)\n"
            + (shop.folder / "config.py").read_text(),
        )

        result = shop.pytest(**DJANGO)

        assert result.counts == {"passed": 11}, result.output


class TestWithoutPytestDjango:
    def test_unittest_classes(self, project: Project) -> None:
        """Django's own test cases, collected by pytest."""
        project.make_shop()
        project.write("conftest.py", WITHOUT)
        project.write("test_orders.py", UNITTEST)

        result = project.pytest("-W", "error", *WITHOUT_PYTEST_DJANGO, **DJANGO)

        assert result.counts == {"passed": 5}, result.output

    def test_without_a_django_project(self, project: Project) -> None:
        """What asks for the helpers is skipped, with the reason; the rest runs."""
        project.write(
            "test_it.py",
            "import pytest\n"
            "def test_fixture(run_on_commit): ...\n"
            "@pytest.mark.mute_signals(1)\n"
            "def test_marker(): ...\n"
            "def test_other(): ...\n",
        )

        result = project.pytest("-rs", "--strict-markers", *WITHOUT_PYTEST_DJANGO)

        assert result.counts == {"passed": 1, "skipped": 2}, result.output
        assert "run_on_commit needs a Django project: set DJANGO_SETTINGS_MODULE" in result.output

    def test_imports_nothing_at_the_start(self, project: Project) -> None:
        """Neither Django nor more of the package than the plugin, so that all of it is measured."""
        project.write(
            "test_it.py",
            "import sys\n"
            "def test_it():\n"
            "    ours = ('django', 'signals_plus')\n"
            "    found = {name for name in sys.modules if name.split('.')[0] in ours}\n"
            "    plugin = {'signals_plus.pytest_plugin', 'signals_plus.pytest_fixtures'}\n"
            "    assert found == {'signals_plus', *plugin}\n",
        )

        result = project.pytest(  # alone: others import Django
            "-p", "signals_plus.pytest_plugin", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
        )

        assert result.counts == {"passed": 1}, result.output

    def test_with_a_pytest_that_is_too_old(self, project: Project) -> None:
        """It runs, without what needs a newer one, and says so."""
        project.write(
            "old.py", "import pytest\npytest.version_tuple = (7, 3, 2)\ndel pytest.StashKey\n"
        )
        project.write("test_it.py", "def test_it(): ...\ndef test_fixture(run_on_commit): ...\n")

        result = project.pytest(  # alone: others need what it has not
            *("-p", "old", "-p", "signals_plus.pytest_plugin"), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
        )

        assert result.counts == {"passed": 1, "error": 1}, result.output
        assert "signals_plus: no fixtures and no marker" in result.output
        assert "fixture 'run_on_commit' not found" in result.output
