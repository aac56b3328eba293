"""How receivers are connected, found again, replaced and refused."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.db.models.signals import post_delete, post_migrate, post_save
from django.dispatch import Signal

from signals_plus import receiver, receiver_on_commit, receiver_task
from signals_plus.exceptions import InvalidReceiverError
from signals_plus.testing import assert_connected, receivers_of
from tests.testapp.models import Item, Tag

DECORATORS = [receiver, receiver_on_commit, receiver_task]

pytestmark = pytest.mark.django_db(transaction=True)


def handle(sender: Any, **kwargs: Any) -> None:
    """A function of a module."""


def key_of(instance: Item, **kwargs: Any) -> int:
    return instance.pk


def handle_too(sender: Any, **kwargs: Any) -> None:
    """Another."""


class Handler:
    """Something with a method that receives."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def handle(self, instance: Item, **kwargs: Any) -> None:
        self.names.append(instance.name)


class TestRefusalOfATask:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"ordering_key": len}, "has ordering_key=.* without durable=True"),
            ({"atomic": False}, "has atomic=False without durable=True"),
            ({"on_dead": "skip"}, "has on_dead='skip' without durable=True"),
            ({"durable": 1}, "has durable=1. Use one of True, 'effect', 'publish'"),
            ({"batch": 1}, "has batch=1. Use one of True, False"),
            ({"durable": "maybe"}, "has durable='maybe'. Use one of True, 'effect', 'publish'"),
            ({"durable": "publish", "atomic": False}, "has atomic=False and durable='publish'"),
            ({"durable": "publish", "ordering_key": len}, "and durable='publish'"),
            ({"durable": True, "on_dead": "skip"}, "on_dead='skip' without ordering_key="),
            ({"durable": True, "ordering_key": "a"}, "has ordering_key='a'. Give a plain function"),
            ({"durable": True, "ordering_key": len}, r"ordering_key= that does not accept"),
            ({"durable": True, "ordering_key": key_of, "coalesce": True}, "and coalesce=True"),
            ({"durable": True, "name": "a" * 256}, "has a name of 256 characters"),
            ({"run_after": 5}, "has run_after=5. Give a timedelta"),
            ({"queue_name": "a\0b"}, r"has queue_name='a\\x00b'. Give the name of a queue"),
            ({"queue_name": "caf\udce9"}, r"has queue_name='caf\\udce9'. Give the name of a queue"),
            ({"name": "a\0b"}, r"has name='a\\x00b'. Give it a text"),
            ({"run_after": timedelta.max}, "Give a time from 0 to 36500 days."),
            ({"run_after": timedelta(days=36_500, microseconds=1)}, "from 0 to 36500 days."),
            ({"run_after": timedelta.min}, r"days=-999999999\)\. Give a time from 0 to"),
            ({"run_after": timedelta(microseconds=-1)}, "Give a time from 0 to 36500 days."),
        ],
    )
    def test_by_what_it_asks_for(self, options: dict[str, Any], words: str) -> None:
        """Not passed on to the queue, where it would mean nothing."""
        with pytest.raises(InvalidReceiverError, match=words):
            receiver_task(post_save, sender=Item, **options)(handle)

    def test_not_of_the_longest_wait(self) -> None:
        """Whenever it begins, there is a date at its end."""
        longest = timedelta(days=36_500)

        receiver_task(post_save, sender=Item, run_after=longest)(handle)

        assert datetime.now() + longest < datetime(2500, 1, 1)

    @pytest.mark.parametrize("what", ["a text", 5, None])
    def test_of_what_is_no_function(self, what: Any) -> None:
        """With what was decorated in the text."""
        with pytest.raises(InvalidReceiverError, match="is not callable"):
            receiver_task(post_save, sender=Item)(what)

    def test_of_a_function_that_python_cannot_look_into(self) -> None:
        """Some of those written in C."""
        with pytest.raises(InvalidReceiverError, match="has no signature that Python can read"):
            receiver_task(post_save, sender=Item)(dict)


@pytest.mark.parametrize("decorator", DECORATORS)
class TestEveryDecorator:
    def test_returns_the_function_untouched(self, decorator: Callable[..., Any]) -> None:
        """Calling the function runs its body, as in a unit test."""
        attributes = dict(vars(handle))

        assert decorator(post_save, sender=Item)(handle) is handle
        assert vars(handle) == attributes

    def test_is_undone_by_disconnect(self, decorator: Callable[..., Any]) -> None:
        """signal.disconnect on the same function says True, then False."""
        decorator(post_save, sender=Item)(handle)
        assert_connected(handle, post_save, Item)

        assert post_save.disconnect(handle, sender=Item) is True
        assert post_save.disconnect(handle, sender=Item) is False
        assert receivers_of(post_save, Item) == []

    def test_is_undone_by_uid_where_one_was_given(self, decorator: Callable[..., Any]) -> None:
        """As with Django, a receiver with a uid is disconnected by its uid."""
        decorator(post_save, sender=Item, dispatch_uid="handle")(handle)
        assert_connected(handle, post_save, Item)

        assert post_save.disconnect(sender=Item, dispatch_uid="handle") is True
        assert receivers_of(post_save, Item) == []

    def test_takes_lists_of_signals_and_senders(self, decorator: Callable[..., Any]) -> None:
        """Each signal is connected for each sender."""
        signals = [post_save, Signal()]

        decorator(signals, sender=[Item, Tag])(handle)

        for signal in signals:
            for sender in (Item, Tag):
                assert receivers_of(signal, sender) == [handle]
            assert receivers_of(signal) == []
        assert [
            signal.disconnect(handle, sender=sender) for signal in signals for sender in (Item, Tag)
        ] == [True] * 4

    def test_takes_a_lazy_sender(self, decorator: Callable[..., Any]) -> None:
        """A model named by a string is the model, and Django disconnects it by either."""
        decorator(post_save, sender="testapp.Item")(handle)

        assert_connected(handle, post_save, Item)
        assert post_save.disconnect(handle, sender=Item) is True

    def test_connects_what_carries_the_functions_names(self, decorator: Callable[..., Any]) -> None:
        """Tools that list receivers, and Django's own log, see the function's names."""
        decorator(post_save, sender=Item)(handle)

        connected = post_save._live_receivers(Item)[0][-1]
        assert connected.__qualname__ == "handle"
        assert connected.__module__ == __name__
        assert connected.__doc__ == handle.__doc__
        assert not hasattr(connected, "__wrapped__")

    @pytest.mark.parametrize("debug", [True, False])
    def test_refuses_a_function_without_kwargs(
        self, decorator: Callable[..., Any], debug: bool, settings: Any
    ) -> None:
        """With DEBUG off too, where Django finds out when the signal is sent."""
        settings.DEBUG = debug

        with pytest.raises(InvalidReceiverError, match=r"does not accept \*\*kwargs\. Add"):

            @decorator(post_save, sender=Item)
            def handle_order(sender: Any, instance: Any) -> None: ...

        assert receivers_of(post_save, Item) == []

    def test_refuses_an_argument_that_the_signal_does_not_send(
        self, decorator: Callable[..., Any]
    ) -> None:
        """A misspelt parameter would fail at the first save."""
        with pytest.raises(InvalidReceiverError, match="requires 'instnace', which post_save"):

            @decorator(post_save, sender=Item)
            def handle_order(instnace: Any, **kwargs: Any) -> None: ...

    def test_refuses_parameters_by_position_only(self, decorator: Callable[..., Any]) -> None:
        """A signal passes everything by name."""
        with pytest.raises(InvalidReceiverError, match="by position only"):

            @decorator(post_save, sender=Item)
            def handle_order(sender: Any, /, **kwargs: Any) -> None: ...

    def test_refuses_to_be_used_without_a_signal(self, decorator: Callable[..., Any]) -> None:
        """The forgotten parentheses name the function, not a stack of internals."""
        with pytest.raises(InvalidReceiverError, match="handle' is decorated without a signal"):
            decorator(handle)
        with pytest.raises(InvalidReceiverError, match="was given \\[\\]"):
            decorator([])

    @pytest.mark.parametrize(
        ("sender", "problem"),
        [
            ("Item", "has sender='Item'"),
            ([], "empty list of senders"),
            (Item(), "never sends a model signal"),
            ("testapp.AbstractItem", None),
            (apps.get_app_config("testapp"), "never sends a model signal"),
        ],
    )
    def test_refuses_senders_that_never_send(
        self, decorator: Callable[..., Any], sender: Any, problem: str | None
    ) -> None:
        """A sender that can be known to be wrong is refused; a label may still be loaded."""
        if problem is None:
            decorator(post_save, sender=sender)(handle)
        else:
            with pytest.raises(InvalidReceiverError, match=problem):
                decorator(post_save, sender=sender)(handle)
        assert receivers_of(post_save) == receivers_of(post_save, Item) == []

    def test_refuses_an_abstract_model(self, decorator: Callable[..., Any]) -> None:
        """Abstract models send nothing."""
        from tests.testapp.models import AbstractItem

        with pytest.raises(InvalidReceiverError, match="abstract model AbstractItem"):
            decorator(post_save, sender=AbstractItem)(handle)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"priority": "high"}, "priority='high'"),
            ({"priority": True}, "priority=True"),
            ({"recursion": "stop"}, "recursion='stop'"),
            ({"created": "yes"}, "created='yes'"),
            ({"created": 1}, "has created=1. Use one of None, True, False"),
            ({"created": 0}, "has created=0."),
            ({"raw": 0}, "has raw=0. Use one of True, False"),
            ({"when": "paid"}, "when='paid'"),
            ({"when": lambda instance: True}, r"when= that does not accept \*\*kwargs"),
        ],
    )
    def test_refuses_options_that_mean_nothing(
        self, decorator: Callable[..., Any], options: dict[str, Any], problem: str
    ) -> None:
        """With the value in the text."""
        with pytest.raises(InvalidReceiverError, match=problem):
            decorator(post_save, sender=Item, **options)(handle)

    def test_refuses_an_async_predicate(self, decorator: Callable[..., Any]) -> None:
        """A coroutine is always true."""

        async def paid(**kwargs: Any) -> bool:
            return False

        with pytest.raises(InvalidReceiverError, match="plain function"):
            decorator(post_save, sender=Item, when=paid)(handle)

    def test_refuses_created_where_no_signal_says_it(self, decorator: Callable[..., Any]) -> None:
        """created= is for post_save."""
        with pytest.raises(InvalidReceiverError, match="Only post_save"):
            decorator(Signal(), created=True)(handle)

    def test_connects_nothing_when_one_of_many_is_refused(
        self, decorator: Callable[..., Any]
    ) -> None:
        """A refused decorator leaves no half of itself behind."""
        other = Signal()
        other.connect(handle, dispatch_uid="taken")

        with pytest.raises(InvalidReceiverError, match="dispatch_uid"):
            decorator([post_save, other], dispatch_uid="taken")(handle_too)

        assert receivers_of(post_save, Item) == []


class TestTwice:
    @pytest.mark.parametrize("first", DECORATORS)
    @pytest.mark.parametrize("second", DECORATORS)
    def test_one_function_by_two_decorators_is_refused(
        self, first: Callable[..., Any], second: Callable[..., Any]
    ) -> None:
        """Django would drop the second without a word."""
        first(post_save, sender=Item)(handle)

        with pytest.raises(
            InvalidReceiverError, match=r"twice for the sender|of two task receivers"
        ):
            second(post_save, sender=Item, priority=1)(handle)

    def test_with_and_without_a_uid_is_twice_too(self) -> None:
        """Django would run it twice."""
        receiver(post_save, sender=Item)(handle)

        with pytest.raises(InvalidReceiverError, match="twice"):
            receiver(post_save, sender=Item, dispatch_uid="handle")(handle)

    def test_the_same_decoration_again_changes_nothing(self) -> None:
        """ready() that runs twice connects once."""
        handler = Handler()

        for _ in range(2):
            receiver(post_save, sender=Item)(handler.handle)
            receiver(post_save, sender="testapp.Tag", dispatch_uid="tags")(handle)

        assert receivers_of(post_save, Item) == [handler.handle]
        assert receivers_of(post_save, Tag) == [handle]

    def test_on_other_senders_and_signals_it_is_fine(self) -> None:
        """Twice means one signal and one sender."""
        handler = Handler()

        receiver(post_save, sender=Item)(handler.handle)
        receiver_on_commit(post_save, sender=Tag)(handler.handle)
        receiver_on_commit(post_delete, sender=Item)(handler.handle)

        for signal, sender in ((post_save, Item), (post_save, Tag), (post_delete, Item)):
            assert_connected(handler.handle, signal, sender)

    def test_a_function_that_django_has_connected_is_refused(self) -> None:
        """Ours would be dropped."""
        post_save.connect(handle, sender=Item)

        with pytest.raises(InvalidReceiverError, match="Django's own receiver already"):
            receiver_on_commit(post_save, sender=Item)(handle)

    def test_two_functions_under_one_uid_are_refused(self) -> None:
        """Django would drop the second; who has it is named."""
        receiver(post_save, sender=Item, dispatch_uid="order")(handle)

        with pytest.raises(InvalidReceiverError, match=r"test_connecting\.handle' has taken"):
            receiver(post_save, sender=Item, dispatch_uid="order")(Handler().handle)

    def test_a_uid_taken_by_a_native_receiver_is_refused(self) -> None:
        """Whoever came first, by whatever means."""
        post_save.connect(handle, sender=Item, dispatch_uid="order")

        with pytest.raises(InvalidReceiverError, match="has taken"):
            receiver_on_commit(post_save, sender=Item, dispatch_uid="order")(Handler().handle)

    def test_functions_of_one_name_are_two_receivers(self) -> None:
        """Several functions called _ in one module all run, and do not guard each other."""
        names = []

        @receiver(post_save, sender=Item)
        def _(**kwargs: Any) -> None:
            names.append("first")

        @receiver(post_save, sender=Item)
        def _(**kwargs: Any) -> None:
            names.append("second")

        Item.objects.create(name="a")

        assert names == ["first", "second"]


class TestBoundMethods:
    def test_each_object_receives(self) -> None:
        """Two objects of one class are two receivers; either is disconnected by its method."""
        one, two = Handler(), Handler()
        receiver(post_save, sender=Item)(one.handle)
        receiver_on_commit(post_save, sender=Item)(two.handle)

        assert receivers_of(post_save, Item) == [one.handle, two.handle]

        Item.objects.create(name="a")
        disconnected = post_save.disconnect(one.handle, sender=Item)
        Item.objects.create(name="b")

        assert disconnected is True
        assert (one.names, two.names) == (["a"], ["a", "b"])


class TestConditions:
    def test_created_and_when(self) -> None:
        """created= and when= choose events when the signal is sent."""
        inserted, updated, cheap = Handler(), Handler(), Handler()
        receiver(post_save, sender=Item, created=True)(inserted.handle)
        receiver_on_commit(post_save, sender=Item, created=False)(updated.handle)
        receiver(post_save, sender=Item, when=lambda instance, **kwargs: instance.score < 5)(
            cheap.handle
        )

        item = Item.objects.create(name="a", score=9)
        item.name, item.score = "b", 1
        item.save()

        assert (inserted.names, updated.names, cheap.names) == (["a"], ["b"], ["b"])

    def test_raw(self) -> None:
        """Fixtures being loaded reach only who asked for them."""
        usual, all_of_them = Handler(), Handler()
        receiver(post_save, sender=Item)(usual.handle)
        receiver(post_save, sender=Item, raw=True)(all_of_them.handle)

        Item(name="a").save_base(raw=True)

        assert (usual.names, all_of_them.names) == ([], ["a"])

    def test_an_argument_of_a_custom_signal_may_be_called_raw(self) -> None:
        """Only model signals use the word for fixtures."""
        measured, seen = Signal(), []

        @receiver(measured)
        def log(raw: int, **kwargs: Any) -> None:
            seen.append(raw)

        measured.send(sender=None, raw=7)

        assert seen == [7]


class TestLazySenders:
    def test_waits_for_a_model_that_is_not_loaded(self) -> None:
        """The receiver is connected when the model is."""
        handler = Handler()
        receiver(post_save, sender="testapp.LateModel")(handler.handle)

        late = type(
            "LateModel",
            (models.Model,),
            {"__module__": "tests.testapp.models", "Meta": type("Meta", (), {"apps": apps})},
        )

        try:
            assert_connected(handler.handle, post_save, late)
            assert post_save.disconnect(handler.handle, sender=late) is True
        finally:
            del apps.all_models["testapp"]["latemodel"]
            apps.clear_cache()

    def test_twice_is_refused_before_the_model_is_loaded(self) -> None:
        """Once it is loaded, Django would drop the second."""
        receiver(post_save, sender="testapp.Never")(handle)

        with pytest.raises(InvalidReceiverError, match="twice"):
            receiver_on_commit(post_save, sender="testapp.Never")(handle)

    def test_one_that_never_resolves_is_reported_by_djangos_check(self) -> None:
        """The check names the function and the label."""
        from django.core.checks.model_checks import (  # type: ignore[attr-defined]
            _check_lazy_references,
        )

        receiver_on_commit(post_save, sender="testapp.Nothing")(handle)

        (error,) = _check_lazy_references(apps)

        assert error.id == "signals.E001"
        assert "handle" in error.msg
        assert "testapp.nothing" in error.msg


class TestRefusedDeferral:
    @pytest.mark.parametrize("name", ["pre_save", "pre_init", "post_init", "class_prepared"])
    @pytest.mark.parametrize("decorator", [receiver_on_commit, receiver_task])
    def test_signals_that_no_commit_is_about(
        self, decorator: Callable[..., Any], name: str
    ) -> None:
        """Each with the reason and what to use instead."""
        from django.db.models import signals

        with pytest.raises(InvalidReceiverError, match=rf"after {name}.*: use "):
            decorator(getattr(signals, name), sender=Item)(handle)

    @pytest.mark.parametrize("decorator", [receiver_on_commit, receiver_task])
    def test_an_alias_that_does_not_exist(self, decorator: Callable[..., Any]) -> None:
        """Known from DATABASES."""
        with pytest.raises(InvalidReceiverError, match=r"using='replica'.*default, other"):
            decorator(post_save, sender=Item, using="replica")(handle)


SOURCE = """
from django.db.models.signals import post_save
from signals_plus import receiver, receiver_on_commit
from tests.testapp.models import Item

runs = []

@receiver(post_save, sender=Item)
def at_once(instance, **kwargs):
    runs.append("at once")

@receiver_on_commit(post_save, sender=Item, dispatch_uid="deferred")
def deferred(instance, **kwargs):
    runs.append("deferred")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "outer_package" / "inner_package"
    folder.mkdir(parents=True)
    for path in (folder.parent, folder):
        (path / "__init__.py").touch()
    (folder / "handlers.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(folder.parent)
    yield folder
    for name in [
        name for name in sys.modules if "inner_package" in name or name == "outer_package"
    ]:
        del sys.modules[name]


class TestImportedAgain:
    def save_and_collect(self, *modules: ModuleType) -> list[str]:
        Item.objects.create(name="a")
        return [run for module in modules for run in module.runs]

    def test_a_reload_replaces(self, package: Path) -> None:
        """Neither twice, nor not at all."""
        module = importlib.import_module("outer_package.inner_package.handlers")

        importlib.reload(module)

        assert self.save_and_collect(module) == ["at once", "deferred"]

    def test_a_reload_after_an_edit_replaces(self, package: Path) -> None:
        """Though the functions moved to other lines."""
        module = importlib.import_module("outer_package.inner_package.handlers")
        (package / "handlers.py").write_text("# one line more\n" + SOURCE)

        importlib.reload(module)

        assert self.save_and_collect(module) == ["at once", "deferred"]

    def test_one_file_under_two_names_runs_once(self, package: Path) -> None:
        """The second import takes over."""
        first = importlib.import_module("outer_package.inner_package.handlers")
        second = importlib.import_module("inner_package.handlers")

        assert first is not second
        assert self.save_and_collect(first, second) == ["at once", "deferred"]

    def test_wrapped_functions_of_two_files_are_not_mixed_up(self) -> None:
        """A decorator in between has one file; the functions under it have their own."""

        def logged(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return function(*args, **kwargs)

            return wrapper

        one, two = Handler(), Handler()
        receiver(post_save, sender=Item)(logged(one.handle))
        receiver(post_save, sender=Item)(logged(two.handle))

        Item.objects.create(name="a")

        assert (one.names, two.names) == (["a"], ["a"])


class TestSendersOfOtherSignals:
    def test_a_label_names_the_model_on_a_custom_signal_too(self) -> None:
        """mute_signals and receivers read a string in the same way."""
        paid = Signal()
        receiver(paid, sender="testapp.Item")(handle)

        assert_connected(handle, paid, Item)
        assert receivers_of(paid, Tag) == receivers_of(paid) == []

    def test_a_label_before_models_are_loaded_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A custom signal cannot wait for a model, as Django's own can."""
        monkeypatch.setattr(apps, "models_ready", False)

        with pytest.raises(InvalidReceiverError, match="before models are loaded"):
            receiver(Signal(), sender="testapp.Later")(handle)

    def test_migrate_signals_are_sent_by_apps(self) -> None:
        """A model as sender of post_migrate would never match."""
        with pytest.raises(InvalidReceiverError, match="sent by AppConfigs"):
            receiver(post_migrate, sender=Item)(handle)

        receiver(post_migrate, sender=apps.get_app_config("testapp"))(handle)
        assert_connected(handle, post_migrate, apps.get_app_config("testapp"))
        assert post_migrate.disconnect(handle, sender=apps.get_app_config("testapp")) is True


class TestWhatIsDecorated:
    @pytest.mark.parametrize("kind", [staticmethod, classmethod])
    def test_a_method_that_is_wrapped_already_is_refused(self, kind: Any) -> None:
        """The order of the two decorators is named."""
        with pytest.raises(InvalidReceiverError, match=f"below @{kind.__name__}"):
            receiver(post_save)(kind(handle))

    def test_a_function_that_is_built_in_is_refused_by_its_name(self) -> None:
        """It takes no **kwargs, or tells nobody."""
        with pytest.raises(InvalidReceiverError, match=r"builtins\.print|builtins\.len"):
            receiver(Signal())(len)

    @pytest.mark.parametrize(
        "options", [{"name": 5}, {"name": ""}, {"queue_name": 5}, {"queue_name": ""}, {"raw": "no"}]
    )
    def test_options_of_the_wrong_kind_are_refused(self, options: dict[str, Any]) -> None:
        """A task's name and queue are texts."""
        with pytest.raises(InvalidReceiverError, match=f"has {next(iter(options))}="):
            receiver_task(post_save, sender=Item, **options)(handle)

    def test_robust_is_a_yes_or_no(self) -> None:
        """Whatever else is a mistake."""
        with pytest.raises(InvalidReceiverError, match="has robust='log'"):
            receiver_on_commit(post_save, sender=Item, robust="log")(handle)  # type: ignore[arg-type]


class TestUidTakenByAFunctionOfTheSameName:
    def test_says_so_and_not_that_it_is_djangos(self) -> None:
        """The copy and paste of a decorator."""

        def make() -> Callable[..., Any]:
            def copied(**kwargs: Any) -> None: ...

            return copied

        receiver(post_save, sender=Item, dispatch_uid="once")(make())

        with pytest.raises(InvalidReceiverError, match="has a dispatch_uid that"):
            receiver(post_save, sender=Item, dispatch_uid="once")(make())
