"""W002 to W004 and W012: what system checks say of the project's Celery app."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import celery
import pytest
from celery import Task as CeleryTask
from celery import _state
from django.core.checks import ERROR, CheckMessage
from kombu import Queue

from signals_plus.backends.base import Task
from signals_plus.backends.handler import backends
from signals_plus.exceptions import InvalidReceiverError
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


class Bounded(CeleryTask):
    time_limit = 10


class Expired(CeleryTask):
    expires = -5


class ToMain(CeleryTask):
    queue = "main"


class Choosing(CeleryTask):
    def apply_async(self, *args: Any, **options: Any) -> Any:
        return super().apply_async(*args, **{**options, "queue": "main"})


def route(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"queue": "main"}


class Annotation:
    """The project's own, of which nobody knows what it says."""

    def annotate(self, task: CeleryTask) -> dict[str, Any]:
        return {"queue": "main", "time_limit": 30}


ONLY_MAIN: dict[str, Any] = {
    "task_create_missing_queues": False, "task_queues": [Queue("main")],
}  # fmt: skip

IMPOSSIBLE: list[tuple[Task, dict[str, Any], str]] = [
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 90}),
        {"task_time_limit": 60},
        "a soft_time_limit of 90 s, and a time_limit of 60 s",
    ),
    (
        Task("shop.slow", print, print, options={"time_limit": 30, "soft_time_limit": None}),
        {"task_soft_time_limit": 45},
        "a soft_time_limit of 45 s, and a time_limit of 30 s",
    ),
    (
        Task("shop.mail", print, print, queue_name="mial"),
        {"task_create_missing_queues": False, "task_queues": [Queue("mail")]},
        "the queue 'mial', which is not in task_queues",
    ),
    (
        Task("shop.mail", print, print, options={"queue": "mial"}),
        {"task_create_missing_queues": False},
        "the queue 'mial', which is not in task_queues",
    ),
    (
        Task("shop.mail", print, print),
        {"task_create_missing_queues": False, "task_queues": [Queue("mail")]},
        "which is not in task_queues",  # the default queue
    ),
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 10.5, "time_limit": 10}),
        {},
        "a soft_time_limit of 10.5 s, and a time_limit of 10 s",
    ),
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 20, "base": Bounded}),
        {},
        "a soft_time_limit of 20 s, and a time_limit of 10 s",
    ),
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 20}),
        {"task_annotations": {"*": {"time_limit": 5}}},
        "a soft_time_limit of 20 s, and a time_limit of 5 s",
    ),
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 20}),
        {"task_annotations": [{"shop.other": {}}, {"*": {"time_limit": 5}}]},
        "a soft_time_limit of 20 s, and a time_limit of 5 s",
    ),
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 20}),
        {"task_time_limit": 10, "task_annotations": {"*": {"time_limit": None}}},
        "a soft_time_limit of 20 s, and a time_limit of 10 s",
    ),
    (
        Task("shop.late", print, print, options={"countdown": 4, "expires": 2}),
        {},
        "expires after 2 s, and waits for 4 s: it would never run",
    ),
    (
        Task("shop.late", print, print, run_after=timedelta(minutes=5), options={"expires": 300}),
        {},
        "expires after 300 s, and waits for 300.0 s",
    ),
    (
        Task("shop.late", print, print, run_after=timedelta(minutes=5)),
        {"task_annotations": {"shop.*": {}, "*": {"expires": 60}}},
        "expires after 60 s, and waits for 300.0 s",
    ),
    (
        Task("shop.late", print, print),
        {"task_annotations": {"*": {"expires": 0}}},
        "expires after 0 s: it would never run",
    ),
    (
        Task("shop.late", print, print, options={"countdown": -9, "base": Expired}),
        {},
        "expires after -5 s: it would never run",
    ),
    (
        Task("shop.mail", print, print),
        {**ONLY_MAIN, "task_annotations": {"*": {"queue": "mian"}}},
        "the queue 'mian', which is not in task_queues",
    ),
    (
        Task("shop.mail", print, print),
        {**ONLY_MAIN, "task_routes": {"shop.*": "mian", "*": "main"}},
        "is routed to the queue 'mian', which is not in task_queues",
    ),
    (
        Task("shop.mail", print, print, queue_name="main"),
        {**ONLY_MAIN, "task_routes": [{"news.*": "main"}, {"shop.*": {"queue": "mian"}}]},
        "is routed to the queue 'mian', which is not in task_queues",
    ),
    (
        Task("shop.mail", print, print, queue_name="mian"),
        {**ONLY_MAIN, "task_routes": {"shop.*": "main"}},
        "goes to the queue 'mian', which is not in task_queues",
    ),
    (
        Task("shop.mail", print, print),
        {**ONLY_MAIN, "task_routes": {"news.*": "main"}},
        "which is not in task_queues",  # the default queue
    ),
    (
        Task("shop.mail", print, print),
        {**ONLY_MAIN, "task_routes": {"shop.*": {}}},
        "which is not in task_queues",  # the default queue
    ),
    (
        Task("shop.mail", print, print),
        {"task_routes": [("shop.*", "main")]},
        "cannot be routed: ValueError: ",
    ),
    (
        Task("shop.mail", print, print),
        {"task_routes": {"shop.*": Queue("main")}},
        "cannot be routed: TypeError: ",
    ),
]

POSSIBLE: list[tuple[Task, dict[str, Any]]] = [
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 30}),
        {"task_time_limit": 60, "task_soft_time_limit": 90},
    ),
    (Task("shop.mail", print, print, queue_name="new"), {}),
    (
        Task("shop.mail", print, print, queue_name="mail"),
        {"task_create_missing_queues": False, "task_queues": [Queue("mail")]},
    ),
    (
        Task("shop.mail", print, print, options={"queue": Queue("new")}),
        {"task_create_missing_queues": False, "task_queues": [Queue("mail")]},
    ),
    (Task("shop.mail", print, print), {"task_create_missing_queues": False}),
    (
        Task("shop.mail", print, print),
        {
            "task_create_missing_queues": False,
            "task_queues": [Queue("mail")],
            "task_routes": {"shop.*": {"queue": "mail"}},
        },
    ),
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 20}),
        {"task_time_limit": 10, "task_annotations": {"*": {"time_limit": 30}}},
    ),
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 20, "base": Bounded}),
        {"task_annotations": ({"*": {"time_limit": 30}},)},
    ),
    (
        Task("shop.slow", print, print, options={"soft_time_limit": 20}),
        {"task_time_limit": 10, "task_annotations": Annotation()},
    ),
    (
        Task("shop.late", print, print, run_after=timedelta(minutes=5), options={"expires": 60}),
        {"task_annotations": {"*": {"expires": 600}}},
    ),
    (Task("shop.late", print, print, options={"countdown": 4, "expires": 5}), {}),
    (Task("shop.late", print, print, options={"expires": 1, "countdown": None}), {}),
    (Task("shop.late", print, print, options={"base": Expired, "expires": None}), {}),
    (Task("shop.mail", print, print, options={"base": ToMain}), ONLY_MAIN),
    (Task("shop.mail", print, print, options={"base": Choosing}), ONLY_MAIN),
    (Task("shop.mail", print, print), {**ONLY_MAIN, "task_annotations": {"*": {"queue": "main"}}}),
    (Task("shop.mail", print, print), {**ONLY_MAIN, "task_annotations": [Annotation()]}),
    (Task("shop.mail", print, print, queue_name="main"), {**ONLY_MAIN, "task_routes": {"*": {}}}),
    (Task("shop.mail", print, print), {"task_routes": {"shop.*": "new"}}),
    (Task("shop.mail", print, print), {**ONLY_MAIN, "task_routes": {"*": {"queue": Queue("new")}}}),
    (Task("shop.mail", print, print), {**ONLY_MAIN, "task_routes": [{"news.*": "mian"}, route]}),
    (
        Task("shop.mail", print, print),
        {**ONLY_MAIN, "task_routes": ({"shop.*": "main"}, {"*": "mian"}, f"{__name__}.nosuch")},
    ),
    (
        Task("shop.mail", print, print),
        {**ONLY_MAIN, "task_routes": [f"{__name__}.route", {"*": "mian"}]},
    ),
    (
        Task("shop.mail", print, print, options={"exchange": "all"}),
        {**ONLY_MAIN, "task_routes": {"*": {"routing_key": "mail"}}},
    ),
]


class TestE008:
    @pytest.mark.parametrize("debug", [True, False])
    @pytest.mark.parametrize(("task", "conf", "problem"), IMPOSSIBLE)
    def test_says_what_celery_would_not_publish(
        self,
        task: Task,
        conf: dict[str, Any],
        problem: str,
        debug: bool,
        make_app: MakeApp,
        settings: Any,
    ) -> None:
        """The receiver and the app are at odds; while Django starts that cannot be known."""
        settings.DEBUG = debug
        app = make_app("amqp://localhost", **conf)
        backends["default"].register(task)

        (error,) = backends["default"].check()

        assert (error.id, error.level) == ("signals_plus.E008", ERROR)
        assert error.msg.startswith(f"Receiver {task.name!r} ")
        assert problem in error.msg
        assert error.hint
        assert not app.finalized  # modules that are yet to come may wait for that

    @pytest.mark.parametrize(("task", "conf", "problem"), IMPOSSIBLE)
    def test_is_an_error_of_the_first_event(
        self, task: Task, conf: dict[str, Any], problem: str, make_app: MakeApp
    ) -> None:
        """Inside its transaction: web servers run no checks."""
        make_app(**conf)
        # Celery keeps what a name was first given.
        task = task._replace(name=f"shop.{uuid.uuid4().hex}")
        backends["default"].register(task)

        with pytest.raises(InvalidReceiverError, match=problem):
            backends["default"].validate_task(task)

    @pytest.mark.parametrize(
        ("task", "conf"), [each[:2] for each in IMPOSSIBLE if "task_routes" in each[1]]
    )
    def test_says_which_routes_lose_each_event(
        self, task: Task, conf: dict[str, Any], make_app: MakeApp
    ) -> None:
        """Celery itself has the last word, of which E008 is to be the first."""
        make_app(**conf)
        task = task._replace(name=f"shop.{uuid.uuid4().hex}")
        backends["default"].register(task)

        (refused,) = backends["default"].enqueue_many([(task, "1")])

        assert "could not publish: " in str(refused.error)

    def test_is_an_error_of_the_first_event_with_an_annotation(self, make_app: MakeApp) -> None:
        """task_annotations are known once the app is finalized."""
        make_app(task_annotations={"*": {"time_limit": 60}})
        name = f"shop.{uuid.uuid4().hex}"
        task = Task(name, print, print, options={"soft_time_limit": 90})

        with pytest.raises(InvalidReceiverError, match="limit of 90 s, and a time_limit of 60 s"):
            backends["default"].validate_task(task)

    @pytest.mark.parametrize(("task", "conf"), POSSIBLE)
    def test_is_silent_for_what_it_would(
        self, task: Task, conf: dict[str, Any], make_app: MakeApp
    ) -> None:
        """Before the app is finalized, and by the first event after that."""
        make_app("amqp://localhost", **conf)
        task = task._replace(name=f"shop.{uuid.uuid4().hex}")
        backends["default"].register(task)

        assert backends["default"].check() == []
        backends["default"].validate_task(task)

    @pytest.mark.parametrize(("task", "conf"), POSSIBLE)
    def test_is_silent_for_what_is_published(
        self, task: Task, conf: dict[str, Any], make_app: MakeApp
    ) -> None:
        """Celery itself has the last word."""
        if celery.VERSION < (5, 5) and "task_queues" in conf:
            pytest.skip("it publishes nothing where the default queue is not in task_queues")
        make_app(**conf)
        task = task._replace(name=f"shop.{uuid.uuid4().hex}")
        backends["default"].validate_task(task)

        assert backends["default"].enqueue_many([(task, "1")]) == []


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


UNUSABLE = [
    "nosuch://localhost",
    "redis://localhost:abc/0",
    "amqp://localhost:99999999//",
    "redis://[::1",
    "rediss://localhost?ssl_cert_reqs=nosuch",
    "redis://localhost/abc",
    "redis://localhost/0/1",
    "sentinel://a:26379/abc",
]


class TestE009:
    @pytest.mark.parametrize("broker", UNUSABLE)
    @pytest.mark.parametrize("debug", [True, False])
    def test_says_that_the_broker_can_never_work(
        self, broker: str, make_app: MakeApp, settings: Any, debug: bool
    ) -> None:
        """Each event would be lost, after its commit."""
        settings.DEBUG = debug
        make_app(broker, broker_transport_options={"socket_timeout": 5})
        task = Task("shop.receivers.urgent", print, print, queue_priority=5)
        backends["default"].register(task)

        (error,) = backends["default"].check()

        assert (error.id, error.level) == ("signals_plus.E009", ERROR)
        assert error.msg.startswith("The broker of the Celery app 'app0' cannot be used: ")
        assert error.hint

    @pytest.mark.parametrize("broker", UNUSABLE)
    def test_leaves_durable_receivers_to_other_checks(self, broker: str, make_app: MakeApp) -> None:
        """Nobody knows what such a broker would forget; nothing is raised."""
        make_app(broker)

        assert set(ids(backends["default"].check_publish(["shop.urgent"]))) <= {"signals_plus.I001"}

    @pytest.mark.parametrize("broker", UNUSABLE)
    def test_says_what_loses_the_events(self, broker: str, make_app: MakeApp) -> None:
        """Celery itself has the last word."""
        make_app(broker)
        task = Task(f"shop.{uuid.uuid4().hex}", print, print)
        backends["default"].validate_task(task)

        (refused,) = backends["default"].enqueue_many([(task, "1")])

        assert "could not publish: " in str(refused.error)

    @pytest.mark.parametrize(
        "broker",
        [
            "redis://localhost",
            "redis://localhost/",
            "redis://localhost/3",
            "redis://localhost//3",
            "redis+socket:///run/redis.sock",
            "redis+socket:///run/redis.sock?virtual_host=3",
            "sentinel://a:26379/3;sentinel://b:26379/3",
            "amqp://localhost/shop",
        ],
    )
    def test_is_silent_for_what_may_work(
        self, broker: str, make_app: MakeApp, settings: Any
    ) -> None:
        """A database of Redis is a number, a virtual host of RabbitMQ any text."""
        settings.DEBUG = True
        make_app(broker)

        assert backends["default"].check() == []

    def test_is_silent_for_a_database_that_is_set(self, make_app: MakeApp, settings: Any) -> None:
        """Not in the URL."""
        settings.DEBUG = True
        make_app("redis://localhost", broker_vhost=3)

        assert backends["default"].check() == []

    def test_is_silent_where_nothing_is_published(self, make_app: MakeApp, settings: Any) -> None:
        settings.DEBUG = True
        make_app("nosuch://localhost", task_always_eager=True)

        assert backends["default"].check() == []


class TestW017:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"Strategy": "nosuch.Strategy"}, ["signals_plus.W017"]),
            ({"Request": "celery.worker.request:Nosuch"}, ["signals_plus.W017"]),
            ({"Request": "celery.worker.request:Request", "Strategy": CeleryTask}, []),
            ({"acks_late": True}, []),
        ],
    )
    @pytest.mark.parametrize("debug", [True, False])
    def test_warns_of_what_cannot_be_imported(
        self,
        make_app: MakeApp,
        settings: Any,
        options: dict[str, Any],
        expected: list[str],
        debug: bool,
    ) -> None:
        """The worker would end when it starts."""
        settings.DEBUG = debug
        make_app("amqp://localhost")
        backends["default"].register(Task("shop.score", print, print, options=options))

        assert ids(backends["default"].check()) == expected


class TestW012:
    def found(self, task: Task) -> list[str | None]:
        backends["default"].register(task)
        return ids(backends["default"].check())

    @pytest.mark.parametrize("broker", ["amqp://localhost", "filesystem://"])
    def test_warns_of_priorities_without_effect(self, broker: str, make_app: MakeApp) -> None:
        """Tasks go out in the order in which they were enqueued, and nobody hears of it."""
        make_app(broker)

        assert self.found(Task("shop.urgent", print, print, queue_priority=5)) == [
            "signals_plus.W012"
        ]
        assert "shop.urgent: queue_priority=" in backends["default"].check()[0].msg

    @pytest.mark.parametrize(
        "conf",
        [
            {"task_queue_max_priority": 10},
            {"task_queues": [Queue("a"), Queue("b", max_priority=10)]},
            {"task_queues": [Queue("b", queue_arguments={"x-max-priority": 10})]},
        ],
    )
    def test_is_silent_for_queues_with_priorities(
        self, conf: dict[str, Any], make_app: MakeApp
    ) -> None:
        """RabbitMQ has them where a queue is declared so."""
        make_app("amqp://localhost", **conf)

        assert self.found(Task("shop.urgent", print, print, queue_priority=5)) == []

    def test_is_silent_for_redis(self, make_app: MakeApp) -> None:
        """Which needs nothing."""
        make_app("redis://localhost", broker_transport_options={"socket_timeout": 5})

        assert self.found(Task("shop.urgent", print, print, queue_priority=5)) == []

    def test_is_silent_without_priorities(self, make_app: MakeApp) -> None:
        """No receiver asks for any."""
        make_app("amqp://localhost")

        assert self.found(Task("shop.usual", print, print)) == []
