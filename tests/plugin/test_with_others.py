"""The pytest plugin beside others: pytest-asyncio, unittest, pytest-factoryboy, live servers."""

from __future__ import annotations

import pytest

from tests.plugin.projects import DJANGO, SETTINGS, WITH_ASYNCIO, Project

ASYNCIO = """
import pytest
from django.db.models.signals import post_save
from shop.models import Order
from shop.receivers import print_label, seen
from signals_plus import testing

# The thread of a coroutine's database is not that of the test: its transaction is a real one.
pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]

@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()

async def test_run_on_commit():
    async with testing.run_on_commit():
        await Order.objects.acreate(number="A-17")
    assert seen == ["A-17"]

async def test_loud():
    with pytest.raises(ValueError, match="no such order"):
        async with testing.run_on_commit():
            await Order.objects.acreate(number="bad")

async def test_fixture(run_on_commit):
    await Order.objects.acreate(number="A-17")
    assert seen == ["A-17"]

async def test_capture_tasks(capture_tasks):
    order = await Order.objects.acreate(number="A-17")
    capture_tasks.assert_enqueued(print_label, instance=order, times=1)
    await capture_tasks.arun()
    assert seen == ["A-17", "label for A-17"]

async def test_capture_signals(capture_signals):
    sent = capture_signals(post_save)
    await Order.objects.acreate(number="A-17")
    sent.assert_sent(post_save, sender=Order, times=1)

@pytest.mark.mute_signals(post_save)
async def test_marker():
    await Order.objects.acreate(number="A-17")
    assert seen == []

async def test_mute_signals(mute_signals):
    mute_signals(post_save)
    await Order.objects.acreate(number="A-17")
    assert seen == []

@testing.run_on_commit()
async def test_decorated():
    await Order.objects.acreate(number="A-17")
    assert seen == ["A-17"]
"""

# Errors that production logs, on the connection of another thread.
LOUD = """
import unittest
import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from shop.models import Order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_on_commit")]

async def ours():
    await Order.objects.acreate(number="bad")

async def native():
    await sync_to_async(transaction.on_commit)(lambda: {}["native"], robust=True)

@pytest.mark.asyncio
@pytest.mark.parametrize("work", [ours, native])
async def test_coroutine(work):
    await work()

@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("work", [ours, native])
async def test_coroutine_of_one_loop(work):
    await work()

class Tests(unittest.IsolatedAsyncioTestCase):
    async def test_ours(self):
        await ours()

    async def test_native(self):
        await native()
"""

ISOLATED = """
import unittest
import pytest
from django.db.models.signals import post_save
from django.dispatch import Signal
from shop.models import Order
from shop.receivers import print_label, seen
from signals_plus import testing

custom = Signal()

def hear(word, **kwargs):
    seen.append(word)

custom.connect(hear)

@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()

class LoudTests(unittest.IsolatedAsyncioTestCase):
    heard = ["set up", "test", "torn down"]

    async def asyncSetUp(self):
        await custom.asend(None, word="set up")

    async def asyncTearDown(self):
        await custom.asend(None, word="torn down")
        assert seen == self.heard

    async def test_it(self):
        await custom.asend(None, word="test")

@pytest.mark.mute_signals(custom)
class MarkedTests(LoudTests):
    heard = []

class FixtureTests(LoudTests):
    heard = []

    @pytest.fixture(autouse=True)
    def quiet(self, mute_signals):
        mute_signals(custom)

class BlockTests(LoudTests):
    heard = []

    @pytest.fixture(autouse=True)
    def quiet(self):
        with testing.mute_signals(custom):
            yield

class CaptureTests(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def captured(self, capture_signals):
        self.sent = capture_signals(custom, mute=True)

    async def test_it(self):
        await custom.asend(None, word="test")
        self.sent.assert_sent(custom, times=1)
        assert seen == []

@pytest.mark.django_db(transaction=True)
class TaskTests(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def captured(self, capture_tasks):
        self.tasks = capture_tasks

    async def test_it(self):
        await Order.objects.acreate(number="A-17")
        self.tasks.assert_enqueued(print_label, times=1)

class TestAfterwards:
    def test_it(self):
        custom.send(None, word="after")
        assert seen == ["after"]
"""

ANYIO = """
import pytest
from django.dispatch import Signal

pytestmark = pytest.mark.anyio
custom = Signal()
heard = []

def hear(**kwargs):
    heard.append(kwargs)

custom.connect(hear)

@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="module", autouse=True)
async def begins_first():
    yield

@pytest.fixture
def quiet(mute_signals):
    mute_signals(custom)

async def send(expected):
    heard.clear()
    await custom.asend(None)
    assert len(heard) == expected

async def test_loud():
    await send(1)

@pytest.mark.mute_signals(custom)
async def test_marker(begins_first):
    await send(0)

async def test_fixture(quiet):
    await send(0)

async def test_loud_again():
    await send(1)
"""

FACTORIES = """
import factory
import pytest
from django.db.models.signals import post_save
from pytest_factoryboy import register
from shop.models import Order
from shop.receivers import confirm, seen
from signals_plus.testing import mute_signals

pytestmark = pytest.mark.django_db

class OrderFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Order

    number = "A-17"

@mute_signals(post_save)
class QuietOrderFactory(OrderFactory):
    pass

@mute_signals(receivers=[confirm])
class UnconfirmedOrderFactory(OrderFactory):
    pass

register(OrderFactory)
register(QuietOrderFactory, "quiet_order")
register(UnconfirmedOrderFactory, "unconfirmed_order")

@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()

def test_row(capture_tasks, order):
    assert (seen, len(capture_tasks)) == (["A-17"], 1)

def test_quiet_row(capture_tasks, quiet_order):
    assert quiet_order.pk
    assert (seen, len(capture_tasks)) == ([], 0)

def test_row_without_one_receiver(capture_tasks, unconfirmed_order):
    assert (seen, len(capture_tasks)) == ([], 1)

def test_factories(capture_tasks, order_factory, quiet_order_factory):
    quiet_order_factory()
    order_factory.create_batch(2)
    quiet_order_factory.create_batch(2)
    assert (seen, len(capture_tasks)) == (["A-17", "A-17"], 2)

@pytest.mark.mute_signals(post_save)
def test_marker(capture_tasks, order):
    assert (seen, len(capture_tasks)) == ([], 0)
"""

LIVE = """
from urllib.request import urlopen
import pytest
from django.db.models.signals import post_save
from django.test import LiveServerTestCase
from shop.models import Order
from shop.receivers import print_label, seen
from signals_plus import testing

@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()

def look(url):
    with (
        testing.capture_signals(post_save, all_threads=True) as sent,
        testing.capture_tasks(all_threads=True) as tasks,
    ):
        assert urlopen(f"{url}/order/A-17").read() == b"1"
    sent.assert_sent(post_save, sender=Order, times=1)
    tasks.assert_enqueued(print_label, times=1)
    assert seen == ["A-17"]
    with testing.mute_signals(post_save, all_threads=True):
        urlopen(f"{url}/order/A-18").read()
    assert seen == ["A-17"]
    for bad, error in (("bad", ValueError), ("native", KeyError)):
        with pytest.raises(error):
            with testing.capture_tasks(all_threads=True):
                urlopen(f"{url}/order/{bad}").read()

def test_fixture(live_server):
    look(live_server.url)

class LiveTests(LiveServerTestCase):
    def test_it(self):
        look(self.live_server_url)
"""
URLS = """
from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from shop.models import Order

@transaction.atomic
def order(request, number):
    if number == "native":
        transaction.on_commit(lambda: {}["native"], robust=True)
    Order.objects.create(number=number)
    return HttpResponse(str(Order.objects.count()))

urlpatterns = [path("order/<number>", order)]
"""


class TestWithOthers:
    def test_pytest_asyncio(self, project: Project) -> None:
        """Fixtures, markers and blocks, in coroutines."""
        project.make_shop()
        project.write("test_coroutines.py", ASYNCIO)

        result = project.pytest("-W", "error", *WITH_ASYNCIO, **DJANGO)

        assert result.counts == {"passed": 8}, result.output

    def test_coroutines_fail_of_what_production_logs(self, project: Project) -> None:
        """Whoever registered it, and whatever loop it runs in."""
        project.make_shop()
        project.write("test_loud.py", LOUD)

        result = project.pytest(*WITH_ASYNCIO, **DJANGO)

        assert result.counts == {"failed": 6}, result.output

    def test_asyncio_cases_of_unittest(self, project: Project) -> None:
        """Whose tests run in a context of their own, made before any fixture."""
        project.make_shop()
        project.write("test_isolated.py", ISOLATED)

        result = project.pytest("-W", "error", "-p", "no:randomly", **DJANGO)

        assert result.counts == {"passed": 7}, result.output

    def test_anyio(self, project: Project) -> None:
        """Whose tests run in the context of whatever coroutine was first."""
        pytest.importorskip("anyio")
        project.make_shop()
        project.write("test_anyio.py", ANYIO)

        result = project.pytest("-W", "error", "-p", "no:randomly", **DJANGO)

        assert result.counts == {"passed": 4}, result.output

    def test_pytest_factoryboy(self, project: Project) -> None:
        """Rows that its fixtures make, by factories that mute and others."""
        project.make_shop()
        project.write("test_factories.py", FACTORIES)

        result = project.pytest("-W", "error", **DJANGO)

        assert result.counts == {"passed": 5}, result.output

    def test_live_servers(self, project: Project) -> None:
        """The threads of a server are seen and muted, if that is asked for."""
        project.make_shop()
        project.write("urls.py", URLS)
        project.write("config.py", f"{SETTINGS}\nROOT_URLCONF = 'urls'\nSTATIC_URL = 'static/'\n")
        project.write("test_live.py", LIVE)

        result = project.pytest(**DJANGO)

        assert result.counts == {"passed": 2}, result.output
