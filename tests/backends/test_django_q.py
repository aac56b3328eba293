"""The Django-Q2 backend in this process: its messages, its options, its checks."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from multiprocessing import Event, Value
from typing import Any

import pytest
from django.core.checks import ERROR
from django.db import connection, transaction
from django.db.models import Model
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal
from django.test import override_settings
from django.utils import timezone
from django_q import signals as django_q_signals
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import Failure, OrmQ, Schedule, Success
from django_q.models import Task as DoneTask
from django_q.monitor import monitor
from django_q.pusher import pusher
from django_q.queues import Queue
from django_q.tasks import async_task
from django_q.worker import worker
from pytest_django import DjangoDbBlocker

from signals_plus import receiver_task
from signals_plus.backends.base import Task, run_task
from signals_plus.backends.django_q import RUN_TASK, DjangoQBackend
from signals_plus.backends.handler import backends
from signals_plus.checks import check_transactions
from signals_plus.exceptions import BackendError, InvalidReceiverError, SettingsError
from signals_plus.testing import capture_signals, run_on_commit
from tests.django_q_project.tables import installed, make_tables
from tests.errors import UNSAYABLE, Unsayable
from tests.testapp.models import Item, Tag

PATH = "signals_plus.backends.django_q.DjangoQBackend"

Use = Callable[..., DjangoQBackend]


class ItemsOnOther:
    """A router that writes them to the other database."""

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        return "other" if model is Item else None


in_real_transactions = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(scope="module", autouse=True)
def _django_q_installed(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Install ``django_q`` beside the apps of the test settings, and make its tables."""
    with installed():
        with django_db_blocker.unblock():
            make_tables()
        yield


@pytest.fixture
def use(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Let all tasks go to Django-Q2; ``conf``: what it has read of ``Q_CLUSTER``."""

    def use(conf: dict[str, Any] | None = None, **options: Any) -> DjangoQBackend:
        for name, value in (conf or {}).items():
            monkeypatch.setattr(Conf, name, value)
        settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": PATH, "OPTIONS": options}}
        backend = backends["default"]
        assert isinstance(backend, DjangoQBackend)
        return backend

    return use


def score(sender: Any, instance: Item, **kwargs: Any) -> None:
    """The task of most of these tests."""


def a_task(**changed: Any) -> Task:
    return Task(**{"name": "shop.receivers.a", "function": score, "run": print, **changed})


def a_row_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each row of the queue be refused by its database."""
    monkeypatch.setattr(OrmQ._meta, "db_table", "nowhere")


def saved(name: str = "a", using: str = "default") -> Item:
    with transaction.atomic(using=using):
        return Item.objects.using(using).create(name=name)


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (
                {"clusters": "a"},
                "gives 'default' unknown options: clusters. It takes cluster, publish_timeout, enq",
            ),
            ({"cluster": ""}, "cluster='': it has to be a name of at most 100 characters."),
            ({"cluster": "a" * 101}, "a': it has to be a name of at most 100 characters."),
            ({"cluster": None}, "cluster=None: it has to be a name"),
            (
                {"publish_timeout": 0},
                "publish_timeout=0: it has to be a number of seconds above 0, up to",
            ),
            ({"publish_timeout": "1"}, "publish_timeout='1': it has to be a number"),
            ({"enqueue_in_transaction": "yes"}, "='yes': it has to be True or False."),
        ],
    )
    def test_that_cannot_be_used(self, use: Use, options: dict[str, Any], problem: str) -> None:
        with pytest.raises(SettingsError, match=re.escape(problem)):
            use(**options)

    @pytest.mark.parametrize(
        "conf",
        [
            {"ORM": None},
            {"ORM": None, "MONGO": {"host": "localhost"}},
            {"SQS": {}},
            {"IRON_MQ": {"host": "localhost"}},
            {"BROKER_CLASS": "django_q.brokers.orm.ORM"},
        ],
    )
    def test_only_rows_can_be_part_of_a_transaction(self, use: Use, conf: dict[str, Any]) -> None:
        """The brokers stand in the order in which Django-Q2 looks for them."""
        with pytest.raises(SettingsError, match="Only the ORM broker does"):
            use(conf, enqueue_in_transaction=True)

    def test_without_redis_py(self, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
        """A Q_CLUSTER that names no broker: the error says what Django-Q2 makes of that."""
        monkeypatch.setitem(sys.modules, "signals_plus.backends._django_q_redis", None)

        with pytest.raises(SettingsError, match="asks for Redis, as it does where it names no"):
            use({"ORM": None})


class TestReceiverOptions:
    @pytest.mark.parametrize(
        "option",
        [
            {"ack_failure": 1},
            {"save": None},
            {"cached": 0},
            {"cached": 1.5},
            {"timeout": "30"},
            {"timeout": True},
            {"timeout": 0.5},
            {"timeout": 2**31},
            {"timeout": 10**400},
            {"cached": 2**31},
            {"group": "a" * 101},
            {"hook": print},
            {"hook": "print"},
        ],
    )
    def test_of_the_wrong_type_are_refused(self, use: Use, option: dict[str, Any]) -> None:
        """Django-Q2 would take them, and its worker process would end."""
        [name] = option

        with pytest.raises(InvalidReceiverError, match=f"has {name}=.*has to be"):
            use().refuse_unsupported(a_task(options=option))

    def test_that_can_be_used(self, use: Use) -> None:
        options = {
            "ack_failure": False, "cached": 60, "group": "a", "hook": "shop.hook", "save": True,
            "timeout": 2**31 - 1,
        }  # fmt: skip

        backend = use({"RETRY": 2**31})

        backend.refuse_unsupported(a_task(options=options, run_after=timedelta(1), queue_name="b"))

    @pytest.mark.parametrize(("timeout", "is_refused"), [(59, False), (60, True), (61, True)])
    def test_a_limit_after_which_it_runs_again(
        self, timeout: int, is_refused: bool, use: Use
    ) -> None:
        """Beside the first run, that is: but Redis hands nothing out again."""
        task = a_task(options={"timeout": timeout})

        with pytest.raises(InvalidReceiverError) if is_refused else nullcontext() as refused:
            use({"RETRY": 60}).refuse_unsupported(task)

        if refused is not None:
            assert (
                f'has timeout={timeout}, and Q_CLUSTER["retry"] is 60: it would be run again beside'
            ) in str(refused.value)
        use({"RETRY": 60, "ORM": None}).refuse_unsupported(task)

    @pytest.mark.parametrize("option", ["sync", "chain", "broker", "cluster", "iter_count"])
    def test_that_are_not_for_receivers(self, use: Use, option: str) -> None:
        with pytest.raises(InvalidReceiverError, match=f"has the option '{option}'"):
            use().refuse_unsupported(a_task(options={option: True}))

    def test_a_cluster_without_a_name(self, use: Use) -> None:
        with pytest.raises(InvalidReceiverError, match="queue_name=''"):
            use().refuse_unsupported(a_task(queue_name=""))

    @pytest.mark.parametrize(
        "asked", [{"run_after": timedelta(1)}, {"options": {"ack_failure": False}}]
    )
    def test_redis_neither_waits_nor_repeats(self, use: Use, asked: dict[str, Any]) -> None:
        """What it cannot do is refused, not ignored."""
        backend = use({"ORM": None})

        with pytest.raises(InvalidReceiverError, match="does not"):
            backend.refuse_unsupported(a_task(**asked))
        assert not backend.supports_run_after
        assert not backend.supports_retries


class TestMessage:
    def test_names_its_receiver(self, use: Use, database: str) -> None:
        """In all columns that the admin shows; the function is the same for all receivers."""
        use()
        receiver_task(post_save, sender=Item, name="shop.receivers.score")(score)

        with run_on_commit():
            saved()

        row = OrmQ.objects.get()
        assert (row.name(), row.group()) == ("shop.receivers.score", "shop.receivers.score")
        assert (row.func(), row.key, row.kwargs()) == (RUN_TASK, "signals-plus-tests", {})
        assert row.args()[0] == "shop.receivers.score"

    @in_real_transactions
    def test_takes_arguments_of_any_name(self, use: Use) -> None:
        """async_task() takes these for itself where they are keywords."""
        taken = {
            "hook": "a.b", "group": "a", "save": False, "sync": True, "cached": 60,
            "ack_failure": True, "iter_count": 3, "iter_cached": 4, "chain": [1], "broker": "b",
            "cluster": "c", "timeout": 5, "task_name": "d", "q_options": {"e": 6},
        }  # fmt: skip
        sent, seen = Signal(), []
        use()

        @receiver_task(sent, name="shop.receivers.takes")
        def takes(sender: Any, signal: Any, **kwargs: Any) -> None:
            seen.append(kwargs)

        sent.send(sender=None, **taken)
        run_task(*OrmQ.objects.get().args())

        assert seen == [taken]

    @in_real_transactions
    def test_has_the_end_of_a_long_name(self, use: Use) -> None:
        """The columns hold a hundred characters, and Django-Q2 would never save the result."""
        name = "shop." + "a" * 100 + ".score"
        use().enqueue(a_task(name=name), "{}")

        row = OrmQ.objects.get()
        assert row.name() == row.group() == "..." + name[-97:]
        assert len(row.name()) == 100
        assert row.args() == (name, "{}")

    @in_real_transactions
    def test_has_what_its_receiver_asks_for(self, use: Use) -> None:
        options = {"ack_failure": False, "timeout": 5, "hook": "shop.hook", "group": "scores"}
        use().enqueue(a_task(options=options), "{}")

        task = OrmQ.objects.get().task
        assert {name: task[name] for name in options} == options

    @in_real_transactions
    def test_has_no_group_if_its_result_is_cached(self, use: Use) -> None:
        """The cache would keep a list of all tasks of the group."""
        backend = use()
        backend.enqueue(a_task(options={"cached": 60}), "{}")
        backend = use({"CACHED": True})
        backend.enqueue(a_task(), "{}")
        backend.enqueue(a_task(options={"cached": False}), "{}")

        assert [row.group() for row in OrmQ.objects.order_by("pk")] == [
            None, None, "shop.receivers.a",
        ]  # fmt: skip

    @in_real_transactions
    def test_goes_to_the_cluster_that_it_names(self, use: Use) -> None:
        """queue_name, else OPTIONS, else what Q_CLUSTER is about, in all processes."""
        use().enqueue(a_task(queue_name="mail"), "{}")
        use(cluster="slow").enqueue(a_task(), "{}")
        # What Django-Q2 has read in a worker of another cluster.
        use({"CLUSTER_NAME": "mail"}).enqueue(a_task(), "{}")

        keys = [row.key for row in OrmQ.objects.order_by("pk")]
        assert keys == ["mail", "slow", "signals-plus-tests"]

    @in_real_transactions
    def test_waits_for_its_time(self, use: Use) -> None:
        """No cluster takes a row whose lock has not ended."""
        before = timezone.now()
        use().enqueue_many([(a_task(run_after=timedelta(hours=1)), "{}"), (a_task(), "{}")])

        later, now = OrmQ.objects.order_by("pk")
        assert later.lock >= before + timedelta(hours=1)
        assert now.lock < before + timedelta(minutes=10)

    @in_real_transactions
    def test_that_cannot_be_written_keeps_no_other_from_it(self, use: Use) -> None:
        """Though they are written together."""
        backend = use()
        never = a_task(name="shop.receivers.never", run_after=timedelta.max)

        refused = backend.enqueue_many([(a_task(), "1"), (never, "2"), (a_task(), "3")])

        assert [each.payload for each in refused] == ["2"]
        assert [row.args()[1] for row in OrmQ.objects.order_by("pk")] == ["1", "3"]

    @in_real_transactions
    @pytest.mark.parametrize(
        ("error", "text"),
        [(LookupError("of the project's own"), "of the project's own"), (Unsayable(), UNSAYABLE)],
    )
    def test_a_receiver_of_pre_enqueue_may_fail(
        self, error: Exception, text: str, use: Use
    ) -> None:
        """What it fails for is refused, and the rest is enqueued."""

        def refuse_a(task: dict[str, Any], **kwargs: Any) -> None:
            if task["name"].endswith(".a"):
                raise error

        backend = use()
        django_q_signals.pre_enqueue.connect(refuse_a)
        refused = backend.enqueue_many(
            [(a_task(), "1"), (a_task(name="shop.receivers.b"), "2"), (a_task(), "3")]
        )

        assert [each.payload for each in refused] == ["1", "3"]
        assert text in str(refused[0].error)
        assert all(each.is_objection for each in refused)
        assert [row.args()[1] for row in OrmQ.objects.all()] == ["2"]


class TestConnection:
    """What goes on in a request goes on after the commit, on the same connection."""

    @pytest.fixture(autouse=True)
    def _closed_after_each_request(self) -> None:
        # Django's default, as the library sees it once the connection is made.
        connection.ensure_connection()
        connection.close_at = 0

    @in_real_transactions
    def test_is_not_closed(self, use: Use) -> None:
        use()
        receiver_task(post_save, sender=Item)(score)
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE kept (number integer)")

        saved()
        Item.objects.create(name="in autocommit")

        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM kept")
            assert cursor.fetchone() == (0,)
            cursor.execute("DROP TABLE kept")
        assert OrmQ.objects.count() == 2

    @in_real_transactions
    def test_of_another_database_keeps_what_is_not_committed(self, use: Use) -> None:
        """Manual transaction management."""
        use()
        receiver_task(post_save, sender=Item)(score)
        transaction.set_autocommit(False, using="other")
        try:
            Tag.objects.using("other").create(name="a")

            saved()

            transaction.commit(using="other")
        finally:
            transaction.rollback(using="other")
            transaction.set_autocommit(True, using="other")
        assert Tag.objects.using("other").count() == 1

    def test_works_in_both_kinds_of_test(self, use: Use, database: str) -> None:
        use()
        receiver_task(post_save, sender=Item)(score)

        with run_on_commit():
            saved()

        assert (Item.objects.count(), OrmQ.objects.count()) == (1, 1)


@in_real_transactions
class TestQueueOnAnotherDatabase:
    """The rows of the queue are written once the event is committed, into what is open there."""

    @pytest.fixture(autouse=True)
    def _queue_on_other(self, use: Use) -> None:
        use({"ORM": "other"})
        receiver_task(post_save, sender=Item)(score)

    def test_without_a_transaction_there(self) -> None:
        saved()

        assert OrmQ.objects.using("other").count() == 1

    def test_joins_a_transaction_that_commits(self) -> None:
        with transaction.atomic(using="other"):
            saved()

        assert OrmQ.objects.using("other").count() == 1

    def test_is_lost_with_a_transaction_that_rolls_back(self, failures: capture_signals) -> None:
        """What the how-to warns of: the item is there, and its task is not."""
        with transaction.atomic(using="other"):
            saved()
            transaction.set_rollback(True, using="other")

        assert (Item.objects.count(), OrmQ.objects.using("other").count()) == (1, 0)
        failures.assert_not_sent()

    def test_does_no_harm_to_a_transaction_if_it_fails(
        self, monkeypatch: pytest.MonkeyPatch, failures: capture_signals
    ) -> None:
        """The failure is reported; what else is in the transaction commits."""
        a_row_without_room(monkeypatch)

        with transaction.atomic(using="other"):
            Tag.objects.using("other").create(name="a")
            saved()
            Tag.objects.using("other").create(name="b")

        assert Tag.objects.using("other").count() == 2
        (failure,) = failures
        assert isinstance(failure.kwargs["error"], BackendError)


class TestInTransaction:
    @pytest.fixture(autouse=True)
    def _in_transaction(self, use: Use) -> None:
        use(enqueue_in_transaction=True)

    def test_comes_and_goes_with_the_row(self, database: str) -> None:
        receiver_task(post_save, sender=Item)(score)

        with transaction.atomic():
            Item.objects.create(name="a")
            assert OrmQ.objects.count() == 1
            with transaction.atomic():
                Item.objects.create(name="b")
                transaction.set_rollback(True)
        with transaction.atomic():
            Item.objects.create(name="c")
            transaction.set_rollback(True)

        assert [item.name for item in Item.objects.all()] == ["a"]
        assert OrmQ.objects.count() == 1

    def test_leaves_the_connection_open(self, database: str) -> None:
        """In a transaction, and where there is none to join."""
        receiver_task(post_save, sender=Item)(score)
        connection.ensure_connection()
        connection.close_at = 0
        before = connection.connection

        saved()
        Item.objects.create(name="in autocommit")

        assert connection.connection is before
        assert OrmQ.objects.count() == 2

    def test_refuses_events_of_another_database(self, database: str) -> None:
        receiver_task(post_save, sender=Item)(score)

        with pytest.raises(BackendError, match="within transactions on 'default', and task"):
            saved(using="other")

        assert Item.objects.using("other").count() == 0

    def test_refuses_senders_of_another_database(self, settings: Any) -> None:
        """When the project is checked: the routers say where they are written."""
        receiver_task(post_save, sender=Item, name="shop.score")(score)
        assert check_transactions(None) == []

        settings.DATABASE_ROUTERS = [f"{__name__}.ItemsOnOther"]
        (error,) = check_transactions(None)

        assert error.id == "signals_plus.E010"
        assert "within transactions on 'default', and testapp.Item is written to 'other'" in (
            error.msg
        )

    @pytest.mark.parametrize("merging", ["batch", "coalesce"])
    def test_refuses_receivers_that_merge(self, merging: str) -> None:
        def merged(sender: Any, **kwargs: Any) -> None: ...

        with pytest.raises(InvalidReceiverError, match="enqueues within the transaction"):
            receiver_task(post_save, sender=Item, name="a", **{merging: True})(merged)  # type: ignore[arg-type]

    def test_waits_for_the_commit_where_tasks_run_at_once(self, use: Use, database: str) -> None:
        """``sync``, as development and tests have it: nothing runs for what is rolled back."""
        use({"SYNC": True}, enqueue_in_transaction=True)
        ran: list[str] = []

        @receiver_task(post_save, sender=Item, name="shop.receivers.look")
        def look(sender: Any, instance: Item, **kwargs: Any) -> None:
            ran.append(instance.name)

        with run_on_commit(), transaction.atomic():
            Item.objects.create(name="a")
            with transaction.atomic():
                Item.objects.create(name="b")
                transaction.set_rollback(True)
            assert ran == []

        assert ran == ["a"]

    def test_fails_the_transaction(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Even one that goes on after the error: no row commits without its task."""
        receiver_task(post_save, sender=Item)(score)
        a_row_without_room(monkeypatch)

        with transaction.atomic(), pytest.raises(BackendError, match="could not enqueue"):
            Item.objects.create(name="a")

        assert Item.objects.count() == 0

    def test_a_signal_receiver_of_the_rows_sees_none(self, database: str) -> None:
        """They are inserted without signals, whatever is excluded: that would never end."""
        with override_settings(SIGNALS_PLUS_EXCLUDED_SENDERS=[]):

            @receiver_task(post_save, name="shop.receivers.every")
            def every(sender: Any, **kwargs: Any) -> None: ...

            saved()

        assert OrmQ.objects.count() == 1


@in_real_transactions
class TestFeedback:
    @pytest.mark.parametrize("model", [OrmQ, DoneTask, Success, Failure, Schedule])
    def test_own_rows_are_excluded(self, use: Use, model: type[Model]) -> None:
        """What the monitor saves enqueues nothing, or it would save for ever."""
        use()

        @receiver_task(post_save, name="shop.receivers.every")
        def every(sender: Any, **kwargs: Any) -> None: ...

        post_save.send(
            sender=model, instance=model(), created=True, raw=False, using="default",
            update_fields=None,
        )  # fmt: skip
        assert OrmQ.objects.count() == 0
        saved()
        assert OrmQ.objects.count() == 1


@in_real_transactions
class TestWorker:
    def work(self) -> None:
        """Do what a cluster does for one task, in this process."""
        tasks, results, stop = Queue(), Queue(), Event()
        stop.set()
        pusher(tasks, stop, get_broker())
        tasks.put("STOP")
        worker(tasks, results, Value("f", -1), 30)
        results.put("STOP")
        monitor(results, get_broker())
        for queue in (tasks, results):
            queue.close()
            queue.join_thread()

    def test_a_receiver_that_it_does_not_know(self, use: Use) -> None:
        """The task is a Failure with the error, and stays in the queue."""
        use().enqueue(a_task(name="shop.receivers.gone"), "{}")

        self.work()

        failure = Failure.objects.get()
        assert failure.name == "shop.receivers.gone"
        assert "No task receiver is named 'shop.receivers.gone'" in failure.result
        assert OrmQ.objects.count() == 1

    def test_a_task_that_was_submitted_again_in_the_admin(self, use: Use) -> None:
        """What the admin's action passes on is enough to run it, and to find it by its group."""
        use()
        seen: list[str] = []
        receiver_task(post_save, sender=Item, name="shop.receivers.see")(
            lambda sender, instance, **kwargs: seen.append(instance.name)
        )
        saved()
        self.work()
        done = Success.objects.get()

        async_task(done.func, *done.args, hook=done.hook, group=done.group, cluster=done.cluster)
        self.work()

        assert seen == ["a", "a"]
        assert Success.objects.filter(group="shop.receivers.see").count() == 2


@in_real_transactions
class TestSync:
    def test_runs_all_at_once_and_then_raises(
        self, use: Use, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As in a test: the first error is raised once the others have run, too."""
        use({"SYNC": True})
        seen: list[str] = []

        @receiver_task(post_save, sender=Item, name="shop.receivers.see")
        def see(sender: Any, instance: Item, **kwargs: Any) -> None:
            seen.append(instance.name)
            if instance.name != "c":
                raise LookupError(instance.name)

        def save_all() -> None:
            with transaction.atomic():
                for name in "abc":
                    Item.objects.create(name=name)

        with pytest.raises(LookupError, match=r"^a$"):
            save_all()

        assert seen == ["a", "b", "c"]
        assert "raised as well: LookupError('b')" in caplog.text

    def test_is_without_the_callers_mutes(
        self, use: Use, heard_while_muted: Callable[[], list[str]]
    ) -> None:
        """As in a worker."""
        use({"SYNC": True})

        assert heard_while_muted() == ["by the task of a"]


class TestChecks:
    @pytest.mark.parametrize(
        ("conf", "setting"),
        [
            ({"ORM": "nosuch"}, "orm"),
            ({"BROKER_CLASS": "nosuch.Broker"}, "broker_class"),
            ({"ORM": None, "REDIS": "foo"}, "redis"),
        ],
    )
    @pytest.mark.parametrize("debug", [True, False])
    def test_e009(
        self, use: Use, settings: Any, conf: dict[str, Any], setting: str, debug: bool
    ) -> None:
        """No broker can be made of it: each event would be lost, after its commit."""
        settings.DEBUG = debug
        [error] = use({"MAX_ATTEMPTS": 5, **conf}).check()

        assert (error.id, error.level) == ("signals_plus.E009", ERROR)
        assert error.msg.startswith("The broker of Q_CLUSTER cannot be used: ")
        assert setting in str(error.hint)

    def test_e009_is_silent_where_there_is_no_broker(self, use: Use, settings: Any) -> None:
        settings.DEBUG = True

        assert use({"ORM": "nosuch", "SYNC": True}).check() == []

    def test_w010(self, use: Use) -> None:
        """Tasks that run in the request."""
        [warning] = use({"SYNC": True}).check()

        assert warning.id == "signals_plus.W010"
        assert "sync" in warning.msg

    @pytest.mark.parametrize("debug", [True, False])
    @pytest.mark.parametrize("conf", [{}, {"ORM": None}])
    def test_w006(self, use: Use, settings: Any, conf: dict[str, Any], debug: bool) -> None:
        """A cluster writes a row for each task that it has run, whichever its broker."""
        settings.DEBUG = debug
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = ["sessions"]
        backend = use({"MAX_ATTEMPTS": 5, **conf})
        receiver_task(post_save, name="shop.all")(score)
        receiver_task(post_save, sender=Item, name="shop.items")(score)

        [warning] = backend.check()

        assert warning.id == "signals_plus.W006"
        assert "leaves out 'django_q.Task'" in warning.msg
        assert "for every sender (shop.all) enqueues a task" in warning.msg
        assert warning.hint == "Add 'django_q'."

    @pytest.mark.parametrize(
        ("conf", "labels", "left_out"),
        [
            ({}, ["django_q.Task"], "django_q.OrmQ"),
            ({}, ["django_q.Schedule", "django_q.OrmQ"], "django_q.Task"),
            ({"ORM": None}, ["django_q.OrmQ"], "django_q.Task"),
        ],
    )
    def test_w006_of_one_model(
        self, use: Use, settings: Any, conf: dict[str, Any], labels: list[str], left_out: str
    ) -> None:
        """The ORM broker has rows of its own, and deletes that of a task which was run."""
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = labels
        backend = use({"MAX_ATTEMPTS": 5, **conf})
        receiver_task(post_delete, name="shop.all")(score)

        [warning] = backend.check()

        assert warning.id == "signals_plus.W006"
        assert f"leaves out {left_out!r}, where" in warning.msg
        assert warning.hint == "Add 'django_q'."

    @pytest.mark.parametrize(
        ("conf", "labels"),
        [
            ({}, ["django_q"]),
            ({}, ["django_q.Task", "django_q.OrmQ"]),
            ({"ORM": None}, ["django_q.Task"]),
        ],
    )
    def test_w006_is_silent_where_they_are_left_out(
        self, use: Use, settings: Any, conf: dict[str, Any], labels: list[str]
    ) -> None:
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = labels
        backend = use({"MAX_ATTEMPTS": 5, **conf})
        receiver_task(post_delete, name="shop.all")(score)

        assert backend.check() == []

    @in_real_transactions
    @pytest.mark.parametrize(
        ("labels", "enqueued"),
        [(["django_q.Task"], ["shop.all"]), (["django_q.Task", "django_q.OrmQ"], [])],
    )
    def test_what_w006_warns_of_with_the_orm_broker(
        self, use: Use, settings: Any, labels: list[str], enqueued: list[str]
    ) -> None:
        """A task that is done enqueues the next one. A success that is pruned is a Task, too."""
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = labels
        use()
        receiver_task(post_delete, name="shop.all")(score)
        now = timezone.now()
        Success.objects.create(id="1" * 32, name="a", func="b", started=now, stopped=now)
        row = OrmQ.objects.create(key="a", payload="b", lock=now)

        Success.objects.get().delete()
        get_broker().acknowledge(row.pk)

        assert [row.name() for row in OrmQ.objects.all()] == enqueued

    @in_real_transactions
    def test_what_w006_warns_of(self, use: Use, settings: Any) -> None:
        """The row of a task that was run enqueues the next one."""
        settings.SIGNALS_PLUS_EXCLUDED_SENDERS = ["sessions"]
        use()
        receiver_task(post_save, name="shop.all")(score)

        now = timezone.now()
        DoneTask.objects.create(id="1" * 32, name="a", func="b", started=now, stopped=now)

        assert [row.name() for row in OrmQ.objects.all()] == ["shop.all"]

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"hook": "nosuch.note"}, ["signals_plus.W017"]),
            ({"hook": "tests.django_q_project.nosuch"}, ["signals_plus.W017"]),
            ({"hook": "tests.django_q_project.tables.make_tables"}, []),
            ({"group": "nosuch.note"}, []),
        ],
    )
    @pytest.mark.parametrize("debug", [True, False])
    def test_w017(
        self, use: Use, settings: Any, options: dict[str, Any], expected: list[str], debug: bool
    ) -> None:
        """A hook that cannot be imported, in production and before."""
        settings.DEBUG = debug
        backend = use({"MAX_ATTEMPTS": 5})
        backend.register(a_task(options=options))

        assert [message.id for message in backend.check()] == expected

    @pytest.mark.parametrize("conf", [{}, {"ORM": None, "MONGO": {"host": "a"}}, {"SQS": {}}])
    def test_w011(self, use: Use, conf: dict[str, Any]) -> None:
        """Tasks that fail for ever."""
        backend = use(conf)
        backend.register(a_task())

        [warning] = backend.check()

        assert warning.id == "signals_plus.W011"
        assert "every 60 s" in warning.msg

    @pytest.mark.parametrize(
        ("conf", "options"),
        [
            ({"ACK_FAILURES": True}, {"ack_failure": False}),
            ({"MAX_ATTEMPTS": 5}, {"cached": 60}),
            ({"MAX_ATTEMPTS": 5, "CACHED": True}, {}),
        ],
    )
    def test_w011_names_the_receivers(
        self, use: Use, conf: dict[str, Any], options: dict[str, Any]
    ) -> None:
        """Of cached results Django-Q2 counts no attempts."""
        backend = use(conf)
        backend.register(a_task(options={"ack_failure": True}))
        backend.register(a_task(name="shop.receivers.b", options=options))

        [warning] = backend.check()

        assert warning.id == "signals_plus.W011"
        assert warning.msg.endswith("fail: shop.receivers.b.")

    def test_w011_is_silent_where_no_receiver_is_run_again(self, use: Use) -> None:
        backend = use()
        backend.register(a_task(options={"ack_failure": True}))

        assert backend.check() == []

    @pytest.mark.parametrize(
        "conf",
        [
            {"MAX_ATTEMPTS": 5},
            {"ACK_FAILURES": True},
            {"ORM": None},
            {"BROKER_CLASS": "django_q.brokers.orm.ORM"},
        ],
    )
    def test_nothing_to_say(self, use: Use, conf: dict[str, Any]) -> None:
        backend = use(conf)
        backend.register(a_task())

        assert backend.check() == []

    def test_silent_in_debug(self, use: Use, settings: Any) -> None:
        settings.DEBUG = True

        assert use({"SYNC": True}).check() == []
