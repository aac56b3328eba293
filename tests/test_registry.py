"""Which task receivers there are: names taken twice, modules imported again, workers told."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.backends.base import BaseBackend, Task
from signals_plus.exceptions import InvalidReceiverError, SettingsError, UnknownReceiverError
from signals_plus.registry import Registry, registry
from signals_plus.testing import capture_tasks, receivers_of
from tests.testapp.models import Item, Tag

pytestmark = pytest.mark.django_db(transaction=True)

MODULE = """
from django.db.models.signals import post_save
from signals_plus import receiver_task
from tests.testapp.models import Item

@receiver_task(post_save, sender=Item)
def handle(sender, **kwargs):
    pass
"""

told: list[str] = []


class ToldBackend(BaseBackend):
    """A queue that keeps the names it was told."""

    def register(self, task: Task) -> None:
        told.append(task.name)

    def enqueue(self, task: Task, payload: str) -> None:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _recorded(settings: Any) -> None:
    settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": f"{__name__}.ToldBackend"}}
    told.clear()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that can be imported as ``shop_receivers`` and ``project.shop_receivers``."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "__init__.py").touch()
    (tmp_path / "project" / "shop_receivers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "project")
    yield importlib.import_module("shop_receivers")
    for name in ("shop_receivers", "project", "project.shop_receivers"):
        sys.modules.pop(name, None)


def handle(sender: Any, **kwargs: Any) -> None:
    """A task receiver."""


def handle_too(sender: Any, **kwargs: Any) -> None:
    """Another."""


class TestName:
    def test_of_two_receivers_is_refused(self) -> None:
        """A queue would run just one of them. The second is not connected."""
        receiver_task(post_save, sender=Item, name="shop.mail")(handle)

        with pytest.raises(InvalidReceiverError, match="is the name of two task receivers") as e:
            receiver_task(post_save, sender=Item, name="shop.mail")(handle_too)

        assert "Give one of them another name=" in str(e.value)
        assert receivers_of(post_save, Item) == [handle]

    def test_of_one_function_on_two_senders_is_refused(self) -> None:
        """Two decorators are two receivers; one decorator takes a list."""
        receiver_task(post_save, sender=Item)(handle)

        with pytest.raises(InvalidReceiverError, match="one decorator a list of signals"):
            receiver_task(post_save, sender=Tag)(handle)

    def test_of_the_same_receiver_again_is_no_fault(self) -> None:
        """The same decorator, run again, changes nothing."""
        for _ in range(2):
            receiver_task(post_save, sender=Item)(handle)

        assert receivers_of(post_save, Item) == [handle]
        assert [each.name for each in registry] == [f"{__name__}.handle"]

    def test_of_one_function_twice_is_fine_with_two_names(self) -> None:
        """Each is a task of its own."""
        receiver_task(post_save, sender=Item, name="shop.a")(handle)
        receiver_task(post_save, sender=Tag, name="shop.b")(handle)

        assert sorted(each.name for each in registry) == ["shop.a", "shop.b"]


class TestModuleImportedAgain:
    def test_by_reload_is_registered_once(self, module: ModuleType) -> None:
        """The new function takes the place of the old one."""
        importlib.reload(module)

        assert receivers_of(post_save, Item) == [module.handle]
        assert registry["shop_receivers.handle"].function is module.handle

    def test_under_a_second_name_runs_once(self, module: ModuleType) -> None:
        """As ``project.shop_receivers`` and ``shop_receivers``: one of them is connected."""
        second = importlib.import_module("project.shop_receivers")

        assert receivers_of(post_save, Item) == [second.handle]
        with capture_tasks() as tasks:
            Item.objects.create(name="a")
        tasks.assert_enqueued(second.handle, times=1)
        assert len(tasks) == 1
        assert registry["project.shop_receivers.handle"].function is second.handle

    def test_under_a_second_name_keeps_the_first_for_messages_in_flight(
        self, module: ModuleType
    ) -> None:
        """What was enqueued under the first name still finds its function."""
        importlib.import_module("project.shop_receivers")

        assert registry["shop_receivers.handle"].function is module.handle


class TestUnknownName:
    def test_says_what_to_do(self) -> None:
        """The error of a worker that lacks the module."""
        with pytest.raises(UnknownReceiverError, match="named 'shop"):
            registry["shop.mail"]


class TestGoLive:
    def test_tells_the_queues_of_all_receivers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Decorators that ran before Django was ready read no settings and import no queue."""
        monkeypatch.setattr(registry, "is_live", False)
        receiver_task(post_save, sender=Item)(handle)
        assert told == []

        registry.go_live()

        assert told == [f"{__name__}.handle"]

    def test_tells_of_each_receiver_after_it(self) -> None:
        """A receiver that is defined late is known at once."""
        receiver_task(post_save, sender=Item)(handle)

        assert told == [f"{__name__}.handle"]

    def test_has_to_be_before_anything_is_enqueued(self) -> None:
        """Otherwise ``signals_plus`` is not installed, and no worker knows any receiver."""
        with pytest.raises(SettingsError, match="'signals_plus': without it no worker finds"):
            Registry().require_live()


class TestNameThatIsFree:
    def test_again_once_its_receiver_is_disconnected(self) -> None:
        """A test that connects and disconnects can run twice."""
        for _ in range(2):

            def local(**kwargs: Any) -> None: ...

            receiver_task(post_save, sender=Item, name="tests.local")(local)
            assert post_save.disconnect(local, sender=Item) is True


class TestRefusedReceiver:
    def test_is_unknown_to_its_queue(self) -> None:
        """All or nothing: what is not connected is no task either."""
        post_save.connect(handle, sender=Item, dispatch_uid="taken")

        with pytest.raises(InvalidReceiverError, match="has taken"):
            receiver_task(post_save, sender=Item, dispatch_uid="taken", name="refused")(
                lambda **kwargs: None
            )

        assert "refused" not in told
        with pytest.raises(UnknownReceiverError):
            registry["refused"]
