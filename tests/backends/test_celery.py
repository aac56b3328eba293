"""Receivers as Celery tasks: their names, options, messages and names taken twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Task
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.exceptions import InvalidReceiverError
from signals_plus.registry import registry
from signals_plus.signals import enqueue_failed
from signals_plus.testing import capture_signals, receivers_of
from tests.backends.conftest import MakeApp
from tests.services import taken
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ROOT = Path(__file__).parent.parent.parent


def score(sender: Any, instance: Item, **kwargs: Any) -> None:
    """Count a point."""
    ran.append(instance.name)


async def score_later(sender: Any, instance: Item, **kwargs: Any) -> None:
    ran.append(instance.name)


def fails(sender: Any, **kwargs: Any) -> None:
    raise LookupError("the task failed")


def fails_for_b(sender: Any, instance: Item, **kwargs: Any) -> None:
    if instance.name == "b":
        raise LookupError("the task failed")
    ran.append(instance.name)


def echo(text: str) -> str:
    """A Celery task of the project."""
    return text


ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


def named_task(name: str, **options: Any) -> None:
    """Register a task receiver of its own name, so that tests do not share Celery tasks."""
    receiver_task(post_save, sender=Item, name=name, **options)(score)


class TestTask:
    def test_is_one_of_the_app_under_its_own_name(self, make_app: MakeApp) -> None:
        """Each receiver is a row of its own in a monitor: module.function, and its docstring."""
        app = make_app()

        receiver_task(post_save, sender=Item)(score)

        task = app.tasks[f"{__name__}.score"]
        assert task.__doc__ == "Count a point."
        assert task.ignore_result is True

    def test_can_be_named(self, make_app: MakeApp) -> None:
        """name= keeps messages in flight valid when a function moves."""
        app = make_app()

        named_task("shop.score")

        assert "shop.score" in app.tasks

    @pytest.mark.parametrize("name", ["shop.print-label", "shop label", "shop.import", "shop.7"])
    def test_can_be_named_by_any_text(self, name: str, make_app: MakeApp) -> None:
        """Celery writes source code with the name of the task's function."""
        app = make_app()
        named_task(name)
        Item.objects.create(name="a")
        (message,) = taken(app)

        app.tasks[name](*message.decode()[0])

        assert ran == ["a"]

    def test_belongs_to_apps_made_later(self, make_app: MakeApp) -> None:
        """The project's app may be made after the receivers."""
        named_task("shop.early")

        assert "shop.early" in make_app().tasks

    def test_is_not_asked_for_while_django_starts(self, make_app: MakeApp) -> None:
        """Registering leaves the app unfinalized: its on_after_finalize may have users to come."""
        app = make_app()

        named_task("shop.lazy")

        assert app.finalized is False

    def test_is_enqueued_after_the_commit(self, make_app: MakeApp) -> None:
        """Nothing is in the queue before the commit, and nothing after a rollback."""
        app = make_app()
        receiver_task(post_save, sender=Item)(score)

        with transaction.atomic():
            Item.objects.create(name="kept")
            before = taken(app)
        with transaction.atomic():
            Item.objects.create(name="undone")
            transaction.set_rollback(True)

        assert before == []
        (message,) = taken(app)
        assert message.headers["task"] == f"{__name__}.score"
        assert message.headers["ignore_result"] is True
        assert message.content_type == "application/json"
        assert json.loads(message.decode()[0][0])["events"][0][2]["created"] is True

    @pytest.mark.parametrize("function", [score, score_later])
    def test_runs_the_function(self, function: Callable[..., Any], make_app: MakeApp) -> None:
        """What the worker calls with the message is the receiver, async ones too."""
        app = make_app()
        receiver_task(post_save, sender=Item)(function)
        Item.objects.create(name="a")
        (message,) = taken(app)

        app.tasks[message.headers["task"]](*message.decode()[0])

        assert ran == ["a"]

    def test_of_a_receiver_defined_again_runs_the_new_one(self, make_app: MakeApp) -> None:
        """Celery keeps the first function of a name; a receiver that was replaced is not it."""
        app = make_app()
        receiver_task(post_save, sender=Item, name="shop.again")(fails)
        post_save.disconnect(fails, sender=Item)
        registry._receivers.clear()
        assert "shop.again" in app.tasks

        named_task("shop.again", rate_limit="10/s")
        Item.objects.create(name="a")

        (message,) = taken(app)
        app.tasks["shop.again"](*message.decode()[0])
        assert ran == ["a"]
        assert app.tasks["shop.again"].rate_limit == "10/s"


class TestBackendOptions:
    def test_become_attributes_of_the_task(self, make_app: MakeApp) -> None:
        """Whatever a Celery task has can be given, its hooks included."""
        app = make_app()

        def on_failure(self: Task, *args: Any) -> None: ...

        named_task(
            "shop.options", rate_limit="1/s", acks_late=True, autoretry_for=(OSError,),
            max_retries=7, on_failure=on_failure, ignore_result=False,
        )  # fmt: skip

        task = app.tasks["shop.options"]
        assert (task.rate_limit, task.acks_late, task.max_retries) == ("1/s", True, 7)
        assert task.autoretry_for == (OSError,)
        assert task.ignore_result is False

    def test_may_be_attributes_of_the_apps_own_task_class(self, make_app: MakeApp) -> None:
        """What every task of the project has, a receiver's has."""

        class ProjectTask(Task):
            unique_key: str | None = None

        app = make_app(task_cls=ProjectTask)
        named_task("shop.unique", unique_key="order")

        assert app.tasks["shop.unique"].unique_key == "order"

    @pytest.mark.parametrize(
        ("name", "options"),
        [("shop.queue", {"queue": "mail"}), ("shop.queue_name", {"queue_name": "mail"})],
    )
    def test_queue(self, name: str, options: dict[str, str], make_app: MakeApp) -> None:
        """Celery's queue= and the package's queue_name= both choose the queue."""
        app = make_app()
        named_task(name, **options)

        Item.objects.create(name="a")

        assert taken(app) == []
        assert len(taken(app, "mail")) == 1

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("shop.countdown", {"countdown": 3600}),
            ("shop.run_after", {"run_after": timedelta(hours=1)}),
        ],
    )
    def test_time(self, name: str, options: dict[str, Any], make_app: MakeApp) -> None:
        """Celery's countdown= and the package's run_after= both delay the task."""
        app = make_app()
        named_task(name, **options)

        Item.objects.create(name="a")

        assert taken(app)[0].headers["eta"] is not None

    def test_priority(self, make_app: MakeApp) -> None:
        """queue_priority= is Celery's priority, in each of the messages."""
        app = make_app()
        named_task("shop.priority", queue_priority=7)

        with transaction.atomic():
            Item.objects.create(name="a")
            Item.objects.create(name="b")

        assert [message.properties["priority"] for message in taken(app)] == [7, 7]

    def test_base_is_a_class_of_the_project(self, make_app: MakeApp) -> None:
        """Attributes of the project's own task class are options too."""
        app = make_app()

        class Tenant(Task):
            tenant = None

        named_task("shop.base", base=Tenant, tenant="a")

        assert app.tasks["shop.base"].tenant == "a"

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"autoretry_fro": (OSError,)}, "'autoretry_fro', which a Celery task does not have"),
            ({"run": len}, "'run', which a Celery task does not have"),
            ({"_app": None}, "'_app', which a Celery task does not have"),
            ({"bind": True}, "Use celery.current_task"),
            ({"serializer": "pickle"}, "a payload is JSON text"),
            ({"retry": True}, "publish_timeout"),
            ({"base": "shop.Task"}, "base='shop.Task'"),
            ({"queue": "a", "queue_name": "b"}, "both queue_name= and Celery's queue="),
            ({"countdown": 1, "run_after": timedelta(1)}, "both run_after= and Celery's countdown"),
        ],
    )
    def test_that_cannot_work_are_refused(
        self, options: dict[str, Any], words: str, make_app: MakeApp
    ) -> None:
        """The decorator fails, and nothing is connected: Celery would take them without a word."""
        make_app()

        with pytest.raises(InvalidReceiverError, match=words) as raised:
            named_task("shop.refused", **options)

        assert raised.value.receiver == "shop.refused"
        assert receivers_of(post_save, Item) == []
        assert list(registry) == []


class TestNameOfAnotherCeleryTask:
    def test_is_refused_when_registered(self, make_app: MakeApp) -> None:
        """Celery would keep the first of the two without a word."""
        app = make_app()
        app.task(name="shop.taken", shared=False)(echo)
        assert "shop.taken" in app.tasks

        with pytest.raises(InvalidReceiverError, match="name of a Celery task of the project"):
            named_task("shop.taken")

    @pytest.mark.filterwarnings("ignore:Task name 'shop.taken_late'")  # since Celery 5.7
    def test_is_refused_before_the_commit(self, make_app: MakeApp) -> None:
        """At the latest: where the app was not finalized the two meet when it is."""
        app = make_app()
        app.task(name="shop.taken_late", shared=False, lazy=False)(echo)
        named_task("shop.taken_late")

        with pytest.raises(InvalidReceiverError, match="name of a Celery task of the project"):
            Item.objects.create(name="a")


class TestEagerApp:
    def test_runs_the_task_at_the_commit(self, make_app: MakeApp) -> None:
        """task_always_eager works, as in many projects' tests."""
        make_app(task_always_eager=True)
        receiver_task(post_save, sender=Item)(score)

        with transaction.atomic():
            Item.objects.create(name="a")
            assert ran == []

        assert ran == ["a"]

    def test_is_without_the_callers_mutes(
        self, make_app: MakeApp, heard_while_muted: Callable[[], list[str]]
    ) -> None:
        """As in a worker."""
        make_app(task_always_eager=True)

        assert heard_while_muted() == ["by the task of a"]

    def test_lets_exceptions_through_if_told_to(self, make_app: MakeApp) -> None:
        """With task_eager_propagates the caller sees what the task raised, itself."""
        make_app(task_always_eager=True, task_eager_propagates=True)
        receiver_task(post_save, sender=Item)(fails)

        with pytest.raises(LookupError, match="the task failed"):
            Item.objects.create(name="a")

    def test_loses_no_event_to_one_that_fails(self, make_app: MakeApp) -> None:
        """The error leaves the block when all of its events have been handled."""
        make_app(task_always_eager=True, task_eager_propagates=True)
        receiver_task(post_save, sender=Item)(fails_for_b)

        def save_all() -> None:
            with transaction.atomic():
                for name in "abcd":
                    Item.objects.create(name=name)

        with pytest.raises(LookupError, match="the task failed"):
            save_all()

        assert ran == ["a", "c", "d"]

    def test_keeps_them_otherwise(self, make_app: MakeApp) -> None:
        """As in a worker, a task that fails is no failure of the request, nor of the queue."""
        make_app(task_always_eager=True)
        receiver_task(post_save, sender=Item)(fails)

        with capture_signals(enqueue_failed) as sent:
            Item.objects.create(name="a")

        sent.assert_not_sent()


class TestBackend:
    def test_raises_no_other_error_for_what_one_message_does(self, make_app: MakeApp) -> None:
        """A fault of one message is a failure, and does not keep the next from being sent."""

        def route(name: str, *args: Any, **options: Any) -> dict[str, Any] | None:
            return {"queue": "nowhere"} if name == "shop.fails" else None

        app = make_app(task_create_missing_queues=False, task_routes=[route])
        receiver_task(post_save, sender=Item, name="shop.fails")(fails)
        receiver_task(post_save, sender=Item)(score)

        with capture_signals(enqueue_failed) as sent:
            Item.objects.create(name="a")

        (failure,) = sent
        assert "nowhere" in str(failure.kwargs["error"])
        assert len(taken(app)) == 1

    def test_needs_celery(self) -> None:
        """Without Celery the error says what to install; importing the package needs none."""
        program = (
            "import sys; sys.modules['celery'] = None; import signals_plus;"
            "from signals_plus.backends.handler import backends; backends['default']"
        )

        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )  # fmt: skip

        assert done.returncode == 1
        assert "SettingsError: SIGNALS_PLUS_BACKENDS is not set" in done.stderr
        assert "pip install 'django-signals-plus[celery]'" in done.stderr
