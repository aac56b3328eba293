"""What is django.tasks' own: paths, options, rows in the database, and its traps."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import m2m_changed, post_save
from django.dispatch import Signal
from django.utils import timezone
from django.utils.module_loading import import_string
from django_tasks_db.compat import BaseTaskBackend, task_enqueued
from django_tasks_db.models import DBTaskResult

from signals_plus import receiver, receiver_task
from signals_plus.backends import base, django_tasks
from signals_plus.backends.base import Task
from signals_plus.backends.django_tasks import DjangoTasksBackend
from signals_plus.backends.handler import backends
from signals_plus.exceptions import BackendError, InvalidReceiverError, SettingsError
from signals_plus.testing import capture_signals, run_on_commit
from tests.errors import UNSAYABLE, Unsayable
from tests.queues import work
from tests.testapp.models import Item

MODULE = "signals_plus.backends.django_tasks"
PATH = f"{MODULE}.DjangoTasksBackend"
FRAMEWORK = "django.tasks" if find_spec("django.tasks") else "django_tasks"
IMMEDIATE = f"{FRAMEWORK}.backends.immediate.ImmediateBackend"
DUMMY = f"{FRAMEWORK}.backends.dummy.DummyBackend"
DATABASE = "django_tasks_db.DatabaseBackend"


@pytest.fixture(autouse=True)
def _nothing_stays_registered() -> Iterator[None]:
    before = dict(django_tasks._django_tasks), dict(base._tasks)
    yield
    django_tasks._django_tasks, base._tasks = before


@pytest.fixture
def use(settings: Any) -> Callable[..., DjangoTasksBackend]:
    """Choose a backend of TASKS, its settings, and the options of ours."""

    def choose(path: str, options: Any = None, **tasks: Any) -> DjangoTasksBackend:
        settings.TASKS = {"default": {"BACKEND": path, **tasks}}
        entry = {"BACKEND": PATH, "OPTIONS": options or {}}
        settings.SIGNALS_PLUS_BACKENDS = {"default": entry}
        backend = backends["default"]
        assert isinstance(backend, DjangoTasksBackend)
        return backend

    return choose


Use = Callable[..., DjangoTasksBackend]


@pytest.fixture
def runs() -> list[Any]:
    """Hold what receivers were called with."""
    return []


def task(name: str, **asked: Any) -> Task:
    return Task(name=name, function=task, run=lambda payload: None, **asked)


def handle(sender: Any, **kwargs: Any) -> None:
    """A receiver."""


def rows() -> list[DBTaskResult[Any, Any]]:
    return list(DBTaskResult.objects.order_by("enqueued_at"))


class TestPaths:
    """What test_by_name.py says of paths, where they lead to Django tasks."""

    @pytest.mark.parametrize("name", ["shop.receivers.print_label", "shop:label.", "annotations"])
    def test_leads_to_the_task_of_the_receiver(self, use: Use, name: str) -> None:
        """Whatever the name is, and to nothing else of that name."""
        use(IMMEDIATE).register(task(name))

        found = django_tasks._django_tasks[name]

        assert import_string(found.module_path) is found
        assert found.name == name

    def test_reads_as_the_name(self, use: Use) -> None:
        """It stands in every message: it has to stay as it is."""
        use(IMMEDIATE).register(task("shop.receivers.print_label"))

        path = django_tasks._django_tasks["shop.receivers.print_label"].module_path

        assert path == f"{MODULE}.receiver:shop:receivers:print_label"

    @pytest.mark.parametrize("name", ["os:system", "shop:receivers:gone"])
    def test_of_what_is_not_registered_lead_nowhere(self, name: str) -> None:
        """Also what could be imported by that name. What to do is in the traceback."""
        with pytest.raises(ImportError) as info:
            import_string(f"{MODULE}.receiver:{name}")

        text = f"No task receiver is named {name.replace(':', '.')!r} in this process."
        assert text in str(info.value.__cause__)

    def test_other_attributes_are_missing_as_in_any_module(self) -> None:
        with pytest.raises(AttributeError, match=f"module '{MODULE}' has no attribute 'nothing'"):
            _ = django_tasks.nothing


class TestOptions:
    def test_the_backport_is_not_imported_by_django_6(self) -> None:
        """The extra installs it, since no marker sees Django's version."""
        code = f"import {MODULE}, sys; print([m in sys.modules for m in sys.argv[1:]])"
        modules = ["django.tasks", "django_tasks"]

        found = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *modules],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

        assert json.loads(found.lower()) == [module == FRAMEWORK for module in modules]

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"timeout": 1}, "unknown options: timeout. It takes backend, enqueue_in_transaction."),
            ({"backend": "mail"}, "backend='mail', and TASKS has no usable backend of that name"),
            ({"enqueue_in_transaction": 1}, "enqueue_in_transaction=1: it has to be True or False"),
            (
                {"enqueue_in_transaction": True},
                r"TASKS\['default'\] \(ImmediateBackend\) writes no row that could come and go",
            ),
        ],
    )
    def test_that_cannot_work(self, use: Use, options: Any, problem: str) -> None:
        with pytest.raises(SettingsError, match=problem):
            use(IMMEDIATE, options)

    def test_a_path_that_cannot_be_imported(self, use: Use) -> None:
        with pytest.raises(
            SettingsError, match=r"Could not find backend 'shop\.Backend'"
        ) as caught:
            use("shop.Backend")

        assert str(caught.value).endswith(". TASKS has 'default'.")

    def test_in_transaction_without_the_app(self, use: Use, settings: Any) -> None:
        """Without its model there is no database to ask for."""
        settings.INSTALLED_APPS = [
            app for app in settings.INSTALLED_APPS if app != "django_tasks_db"
        ]

        with pytest.raises(SettingsError, match="'django_tasks_db' in INSTALLED_APPS"):
            use(DATABASE, {"enqueue_in_transaction": True})

    def test_another_alias(self, settings: Any) -> None:
        settings.TASKS = {
            "default": {"BACKEND": IMMEDIATE},
            "mail": {"BACKEND": DUMMY, "QUEUES": ["mail"]},
        }
        backend = DjangoTasksBackend("default", {"backend": "mail"})

        backend.register(task("shop.a", queue_name="mail", queue_priority=3))

        made = django_tasks._django_tasks["shop.a"]
        assert (made.backend, made.queue_name, made.priority) == ("mail", "mail", 3)


class TestRefused:
    """What the queue cannot do is known when a receiver is connected."""

    @pytest.mark.parametrize(
        ("path", "asked", "problem"),
        [
            (
                DATABASE,
                {"queue_name": "mail"},
                r"for backend\. queue_.* one of its QUEUES: 'default', 'other'",
            ),
            (DATABASE, {"queue_priority": 101}, "priority must be a whole number between -100"),
            (IMMEDIATE, {"run_after": timedelta(seconds=1)}, "does not support"),
            (DATABASE, {"countdown": 5}, "has the option 'countdown'"),
        ],
    )
    def test_at_connect(self, use: Use, path: str, asked: Any, problem: str) -> None:
        use(path, QUEUES=["default", "other"])

        with pytest.raises(InvalidReceiverError, match=problem):
            receiver_task(post_save, sender=Item, name="shop.a", **asked)(handle)

    def test_any_queue_where_there_is_no_list(self, use: Use) -> None:
        """QUEUES = []."""
        use(DATABASE, QUEUES=[]).register(task("shop.a", queue_name="mail"))

        assert django_tasks._django_tasks["shop.a"].queue_name == "mail"

    def test_a_queue_whose_name_the_table_does_not_hold(self, use: Use) -> None:
        """django.tasks takes it, and PostgreSQL would refuse each row, after the commit."""
        backend = use(DATABASE, QUEUES=[])

        with pytest.raises(InvalidReceiverError, match="at most 32 characters"):
            backend.register(task("shop.a", queue_name="m" * 33))

    def test_by_what_tasks_says_now(self, use: Use, settings: Any) -> None:
        """A test that overrides TASKS alone is not asked what was true before."""
        waiting = task("shop.a", run_after=timedelta(seconds=1))
        backend = use(DATABASE)
        backend.validate_task(waiting)

        settings.TASKS = {"default": {"BACKEND": IMMEDIATE}}

        with pytest.raises(InvalidReceiverError, match="does not support"):
            backend.validate_task(waiting)


@pytest.mark.usefixtures("database")
class TestAfterTheCommit:
    def test_writes_a_row_for_each_event(self, use: Use, database: str) -> None:
        use(DATABASE, QUEUES=["mail"])
        before = timezone.now()
        receiver_task(
            post_save,
            sender=Item,
            name="shop.a",
            queue_name="mail",
            queue_priority=-7,
            run_after=timedelta(minutes=5),
        )(handle)

        with run_on_commit(), transaction.atomic():
            Item.objects.create()
            assert rows() == []

        (row,) = rows()
        assert (row.task_name, row.queue_name, row.priority) == ("shop.a", "mail", -7)
        assert timedelta(minutes=5) <= row.run_after - before < timedelta(minutes=6)
        (payload,) = row.args_kwargs["args"]
        assert json.loads(payload)["receiver"] == "shop.a"

    def test_an_error_of_the_database_is_the_messages_own(
        self, use: Use, database: str, failures: capture_signals
    ) -> None:
        """The others of the transaction are enqueued, and the connection can be used on."""
        key = uuid.uuid4()
        keys = iter([key, key, uuid.uuid4(), key, key, uuid.uuid4()])
        use(DATABASE, OPTIONS={"id_function": lambda: next(keys)})
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        with run_on_commit(), transaction.atomic():
            for _ in range(3):
                Item.objects.create()

        assert len(rows()) == 2
        (failure,) = failures
        error = str(failure.kwargs["error"])
        assert "Backend 'default' could not enqueue: IntegrityError: " in error
        assert Item.objects.count() == 3

    def test_an_error_of_one_message(
        self, use: Use, database: str, failures: capture_signals
    ) -> None:
        """As above, without others."""
        key = uuid.uuid4()
        use(DATABASE, OPTIONS={"id_function": lambda: key})
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        for _ in range(2):
            with run_on_commit(), transaction.atomic():
                Item.objects.create()

        assert len(rows()) == 1
        assert len(failures) == 1
        assert Item.objects.count() == 2

    def test_all_of_a_transaction_are_one_commit(
        self, use: Use, database: str, django_assert_num_queries: Any
    ) -> None:
        """On most databases a commit costs more than a row."""
        backend = use(DATABASE)
        one = task("shop.a")
        backend.validate_task(one)

        # Begin, four rows, commit; in a TestCase a savepoint and its release.
        with django_assert_num_queries(6):
            assert backend.enqueue_many([(one, str(number)) for number in range(4)]) == []

        assert [row.args_kwargs["args"] for row in rows()] == [["0"], ["1"], ["2"], ["3"]]

    def test_a_row_whose_enqueueing_failed_is_not_left(
        self, use: Use, database: str, failures: capture_signals
    ) -> None:
        """It would run, and be reported as lost. Not even if its error has no text."""

        def fail(**kwargs: Any) -> None:
            raise Unsayable

        use(DATABASE)
        receiver_task(post_save, sender=Item, name="shop.a")(handle)
        task_enqueued.connect(fail)

        with run_on_commit(), transaction.atomic():
            Item.objects.create()

        assert rows() == []
        (failure,) = failures
        error = str(failure.kwargs["error"])
        assert UNSAYABLE in error

    def test_a_database_that_may_not_be_used(
        self, use: Use, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a test forbids, or a database refuses, before there is a row."""
        backend = use(DATABASE)
        one = task("shop.a")
        backend.validate_task(one)

        def fail(using: str) -> Any:
            raise AssertionError("Database queries are not allowed")

        monkeypatch.setattr(transaction, "atomic", fail)

        refused = backend.enqueue_many([(one, "1"), (one, "2")])

        assert [type(each.error) for each in refused] == [BackendError] * 2
        assert "Database queries are not allowed" in str(refused[0].error)


class SlowToFail(BaseTaskBackend):
    """A queue that does not answer."""

    asked = 0

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        type(self).asked += 1
        raise TimeoutError("the queue does not answer")


class TestPatience:
    def test_a_queue_that_does_not_answer_is_not_asked_for_ever(
        self, use: Use, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The request waits for a few failures of a transaction, and not for a thousand."""
        monkeypatch.setattr(SlowToFail, "asked", 0)
        # By a clock of its own: on a busy machine anything takes long.
        clock = SimpleNamespace(monotonic=lambda: SlowToFail.asked * 0.6)
        monkeypatch.setattr(django_tasks, "time", clock)
        backend = use(f"{__name__}.SlowToFail")
        one = task("shop.a")
        backend.validate_task(one)

        refused = backend.enqueue_many([(one, str(number)) for number in range(1000)])

        assert SlowToFail.asked == 2
        assert [each.payload for each in refused] == [str(number) for number in range(1000)]
        assert "could not enqueue: TimeoutError: the queue" in str(refused[1].error)
        assert "was not asked again after 1.2 s" in str(refused[2].error)
        assert "TimeoutError: the queue" in str(refused[2].error)


@pytest.mark.usefixtures("database")
class TestInTransaction:
    """``enqueue_in_transaction``."""

    @pytest.fixture(autouse=True)
    def _in_transaction(self, use: Use) -> None:
        use(DATABASE, {"enqueue_in_transaction": True})

    def test_the_row_comes_with_the_transaction(self) -> None:
        """Without any hook: nothing is left to do after the commit."""
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        with transaction.atomic():
            Item.objects.create()
            assert len(rows()) == 1
            assert connection.run_on_commit == []

        assert len(rows()) == 1

    def test_the_row_goes_with_the_transaction(self) -> None:
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        with suppress(LookupError), transaction.atomic():
            Item.objects.create()
            raise LookupError

        assert rows() == []

    def test_the_row_goes_with_a_savepoint(self) -> None:
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        with transaction.atomic():
            Item.objects.create(name="stays")
            with suppress(LookupError), transaction.atomic():
                Item.objects.create(name="goes")
                raise LookupError

        assert len(rows()) == 1

    def test_an_event_on_another_database_is_refused(self) -> None:
        """Its row could stay when the other transaction goes."""
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        with (
            pytest.raises(BackendError, match="waits for one on 'other'"),
            transaction.atomic(using="other"),
        ):
            Item.objects.using("other").create()

        assert rows() == []
        assert not Item.objects.using("other").exists()

    @pytest.mark.parametrize("merging", ["batch", "coalesce"])
    def test_merging_is_refused(self, merging: str) -> None:
        """What comes together is known at the commit only."""
        asked: Any = {merging: True}

        with pytest.raises(InvalidReceiverError, match="Leave out batch= and coalesce="):
            receiver_task(post_save, sender=Item, name="shop.a", **asked)(
                lambda sender, events=(), **kwargs: None
            )

    def test_an_error_fails_the_transaction(self, use: Use) -> None:
        """A row without its task must not stay, also if somebody takes the error for harmless."""
        key = uuid.uuid4()
        options = {"id_function": lambda: key}
        use(DATABASE, {"enqueue_in_transaction": True}, OPTIONS=options)
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        with transaction.atomic():
            Item.objects.create()

        with suppress(DatabaseError), transaction.atomic():
            with pytest.raises(BackendError, match="IntegrityError"):
                Item.objects.create()
            Item.objects.count()  # not possible any more

        assert Item.objects.count() == 1
        assert len(rows()) == 1

    def test_a_signal_of_the_projects_own(self) -> None:
        """It waits for the default database, as after the commit."""
        paid = Signal()
        receiver_task(paid, name="shop.a")(handle)

        with transaction.atomic():
            paid.send(sender=None)
            transaction.set_rollback(True)

        assert rows() == []

    def test_outside_of_a_transaction_it_is_at_once(self) -> None:
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        Item.objects.create()

        assert len(rows()) == 1

    def test_tasks_that_are_overridden(self, settings: Any) -> None:
        """Another queue under the same alias has no row to write, and says so."""
        receiver_task(post_save, sender=Item, name="shop.a")(handle)
        settings.TASKS = {"default": {"BACKEND": IMMEDIATE}}

        with pytest.raises(SettingsError, match="enqueue_in_transaction"), transaction.atomic():
            Item.objects.create()

        assert not Item.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestWorker:
    """The worker of django-tasks-db, in this process."""

    def test_a_receiver_that_it_does_not_know(self, use: Use, runs: list[Any]) -> None:
        """The message is kept, with what to do; the worker goes on, and it can run later."""
        use(DATABASE)
        receiver_task(post_save, sender=Item, name="shop.a")(lambda **kwargs: runs.append("a"))
        Item.objects.create()
        renamed = django_tasks._django_tasks.pop("shop.a")
        receiver_task(post_save, sender=Item, name="shop.b")(lambda **kwargs: runs.append("b"))
        DBTaskResult.objects.create(
            args_kwargs={"args": ["{}"], "kwargs": {}},
            task_path="os.system",
            backend_name="default",
        )
        Item.objects.create()

        work()

        unknown, forged, _ = rows()
        assert [row.status for row in rows()] == ["FAILED", "FAILED", "SUCCESSFUL"]
        assert "No task receiver is named 'shop.a' in this process." in unknown.traceback
        assert "SuspiciousOperation" in forged.traceback
        assert runs == ["b"]

        django_tasks._django_tasks["shop.a"] = renamed
        DBTaskResult.objects.filter(pk=unknown.pk).update(status="READY")
        work()

        assert runs == ["b", "a"]

    def test_a_failure_is_kept_with_its_traceback(self, use: Use) -> None:
        def fail(**kwargs: Any) -> None:
            raise LookupError("no such label")

        use(DATABASE)
        receiver_task(post_save, sender=Item, name="shop.a")(fail)
        Item.objects.create()

        work()

        (row,) = rows()
        assert row.status == "FAILED"
        assert "LookupError: no such label" in row.traceback

    def test_the_rows_of_the_queue_are_no_events(self, use: Use, runs: list[Any]) -> None:
        """Neither when they are written nor when the worker changes them."""

        def note(sender: Any, **kwargs: Any) -> None:
            runs.append(sender)

        use(DATABASE)
        receiver_task(post_save, name="shop.all")(note)
        Item.objects.create()

        work()

        assert runs == [Item]
        assert len(rows()) == 1


@pytest.mark.usefixtures("database")
class TestImmediate:
    """Django's default: in the caller, after the commit."""

    def test_runs_after_the_commit(self, use: Use, database: str, runs: list[Any]) -> None:
        use(IMMEDIATE)
        receiver_task(post_save, sender=Item, name="shop.a")(lambda **kwargs: runs.append("a"))

        with run_on_commit(), transaction.atomic():
            Item.objects.create()
            assert runs == []

        assert runs == ["a"]

    def test_its_errors_are_logged_and_swallowed(
        self, use: Use, database: str, caplog: Any, failures: capture_signals
    ) -> None:
        """SystemExit as well: that is how the backend of Django is."""

        def fail(**kwargs: Any) -> None:
            raise SystemExit("enough")

        use(IMMEDIATE)
        receiver_task(post_save, sender=Item, name="shop.a")(fail)

        with caplog.at_level(logging.ERROR), run_on_commit(), transaction.atomic():
            Item.objects.create()

        assert "receiver:shop:a state=FAILED" in caplog.text
        assert "SystemExit: enough" in caplog.text
        failures.assert_not_sent()
        assert Item.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """Django's own ``ImmediateBackend``."""

    def test_is_without_the_callers_mutes(
        self, use: Use, heard_while_muted: Callable[[], list[str]]
    ) -> None:
        """As in a worker."""
        use(IMMEDIATE)

        assert heard_while_muted() == ["by the task of a"]


class TestChecks:
    @pytest.mark.parametrize(
        ("path", "problem"),
        [
            (IMMEDIATE, "run inside the request, and their errors are only logged"),
            (DUMMY, "never run"),
            # Of Django 5.2's backport, left over in a project that has gone on to Django 6.
            ("django_tasks.backends.immediate.ImmediateBackend", "run inside the request"),
            ("django_tasks.backends.dummy.DummyBackend", "never run"),
        ],
    )
    def test_w005(self, use: Use, settings: Any, path: str, problem: str) -> None:
        """A queue without a worker is for tests, and for DEBUG."""
        backend = use(path)

        (warning,) = backend.check()

        assert warning.id == "signals_plus.W005"
        assert problem in warning.msg
        assert warning.hint

        settings.DEBUG = True
        assert backend.check() == []

    def test_w006(self, use: Use, settings: Any) -> None:
        """A list of the project's own has to name the queue's rows as well."""
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = ["sessions"]
        backend = use(DATABASE)
        receiver_task(post_save, name="shop.all")(handle)

        (warning,) = backend.check()

        assert warning.id == "signals_plus.W006"
        assert "for every sender (shop.all) enqueues a task" in warning.msg
        assert warning.hint == "Add 'django_tasks_database'."

    @pytest.mark.parametrize(
        "connect",
        [
            lambda: None,
            lambda: receiver_task(post_save, sender=Item, name="shop.items")(handle),
            lambda: receiver_task(Signal(), name="shop.custom")(handle),
            lambda: receiver(post_save)(handle),
            lambda: receiver_task(m2m_changed, name="shop.links")(handle),
        ],
        ids=["nobody", "of a model", "of another signal", "no task", "of links"],
    )
    def test_w006_needs_a_receiver_that_hears_the_rows(
        self, use: Use, settings: Any, connect: Callable[[], object]
    ) -> None:
        """Who names a sender never hears of the rows that the queue writes, which have no links."""
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = ["sessions"]
        backend = use(DATABASE)
        connect()

        assert backend.check() == []

    @pytest.mark.django_db(transaction=True)
    def test_what_w006_warns_of(self, use: Use, settings: Any) -> None:
        """Each row of the queue is an event, for which it writes a row."""
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = []
        use(DATABASE, {"enqueue_in_transaction": True})
        receiver_task(post_save, name="shop.all")(handle)

        with pytest.raises(BackendError, match="RecursionError") as info, transaction.atomic():
            Item.objects.create()

        assert len(str(info.value)) < 200
        assert rows() == []

    @pytest.mark.parametrize(
        "label", ["django_tasks_database", "django_tasks_database.DBTaskResult"]
    )
    def test_nothing_to_say(self, use: Use, settings: Any, label: str) -> None:
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = [label]
        receiver_task(post_save, name="shop.all")(handle)

        assert use(DATABASE).check() == []
