"""Receivers as RQ jobs: what is in a job, who takes it and when, and a Redis that is not there.

Bounds of time are far above what is promised (Note [Jobs in bounded time]) and far below "for
ever": the machine may be slow.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.checks import ERROR
from django.db import transaction
from django.db.models.signals import post_save
from redis import Redis
from rq import Callback, Queue, Retry, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty

from signals_plus import receiver_task
from signals_plus.backends import _rq_publishing, _rq_queues, base
from signals_plus.backends.base import Refused, Task, run_task
from signals_plus.backends.by_name import path_of
from signals_plus.backends.handler import backends
from signals_plus.backends.rq import RQBackend
from signals_plus.exceptions import BackendError, InvalidReceiverError, SettingsError
from tests.errors import UNSAYABLE
from tests.rq_project import jobs_of, note_failure, remove
from tests.services import (
    Gate,
    broker_url,
    closed_port,
    eventually,
    in_threads,
    seconds,
    silent_port,
    through,
)
from tests.testapp.models import Item

JSON = "rq.serializers.JSONSerializer"

ran: list[str] = []


def run(payload: str) -> None:
    """What tasks of these tests do."""
    ran.append(payload)


def fail(payload: str) -> None:
    raise LookupError("the failure of a receiver")


def score(sender: Any, **kwargs: Any) -> None:
    """Never run."""


@pytest.fixture(autouse=True)
def _nothing_ran_and_nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_tasks", {})
    ran.clear()


class Project:
    """Queues of a test's own, and what is in them."""

    def __init__(self, settings: Any, url: str) -> None:
        self._settings = settings
        self.name = f"signals-plus-{uuid.uuid4().hex}"
        self.other = f"{self.name}-other"
        self.url = url
        self.set_up()

    def set_up(self, *, url: str = "", **entry: Any) -> RQBackend:
        """Give the queues entries in RQ_QUEUES, and return the backend."""
        entry = {"URL": url or self.url, "SERIALIZER": JSON, **entry}
        return self.set_up_entries({self.name: entry, self.other: dict(entry)})

    def set_up_entries(self, entries: dict[str, Any]) -> RQBackend:
        self._settings.RQ_QUEUES = entries
        self._settings.SIGNALS_PLUS_BACKENDS = {
            "default": {
                "BACKEND": "signals_plus.backends.rq.RQBackend",
                "OPTIONS": {"queue_name": self.name},
            }
        }
        backend = backends["default"]
        assert isinstance(backend, RQBackend)
        return backend

    def task(self, name: str = "shop.receivers.score", **of_task: Any) -> Task:
        """Register a task."""
        task = Task(name, run, **{"run": run, **of_task})
        backends["default"].validate_task(task)
        return task

    def queue(self, name: str = "") -> Queue:
        entry = self._settings.RQ_QUEUES[self.name]
        connection = Redis.from_url(self.url)
        return Queue(name or self.name, connection=connection, serializer=entry.get("SERIALIZER"))

    def jobs(self, name: str = "") -> list[Job]:
        """Return the jobs that wait, the next one first."""
        return list(self.queue(name).jobs)

    def payloads(self, name: str = "") -> list[str]:
        """Return what waits, the next one first."""
        return [job.args[0] for job in self.jobs(name)]

    def work(self, **options: Any) -> None:
        """Work off what waits, in this process."""
        queue = self.queue()
        before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
        worker = Worker(
            [queue], connection=queue.connection, **{"serializer": queue.serializer, **options}
        )
        worker.work(burst=True, logging_level="WARNING")
        for each, handler in before.items():
            signal.signal(each, handler)

    def failures(self) -> list[str]:
        """Return the errors of the jobs that failed."""
        queue = self.queue()
        jobs = map(queue.fetch_job, queue.failed_job_registry.get_job_ids())
        return [job.latest_result().exc_string for job in jobs]


class NoPenalty(BaseDeathPenalty):
    """No time limit: the one for this process is pytest's."""

    def setup_death_penalty(self) -> None: ...

    def cancel_death_penalty(self) -> None: ...


class Worker(SimpleWorker):
    death_penalty_class = NoPenalty


@pytest.fixture
def project(settings: Any) -> Iterator[Project]:
    """Tell the tests' own settings of queues that are empty, and empty them again."""
    made = Project(settings, broker_url("redis"))
    yield made
    backends.forget()
    for name in (made.name, made.other):
        remove(made.queue(name))


@pytest.fixture
def gate(project: Project) -> Iterator[Gate]:
    """Stand between the backend and Redis."""
    with Gate(project.url) as opened:
        yield opened


def refused(found: list[Refused]) -> list[str]:
    return [each.payload for each in found]


def numbered(task: Task, count: int) -> list[tuple[Task, str]]:
    return [(task, str(number)) for number in range(count)]


class TestRegister:
    @pytest.fixture(autouse=True)
    def _without_network(self, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
        """Django starts whether Redis is there or not."""

        def refuse(*args: Any) -> None:
            pytest.fail("nobody has to be asked")

        settings.RQ_QUEUES = {"default": {"HOST": "127.0.0.1", "PORT": 1, "DB": 0}}
        monkeypatch.setattr(socket, "socket", refuse)

    def test_asks_nobody(self) -> None:
        backend = RQBackend("default", {})
        task = Task("shop.score", score, run, run_after=timedelta(1), options={"ttl": "2d"})

        backend.validate_task(task)

        run_task("shop.score", "1")
        assert ran == ["1"]

    @pytest.mark.parametrize(
        ("options", "queue_name", "wrong"),
        [({}, "mail", "mail"), ({"queue_name": "mail"}, None, "mail")],
    )
    def test_refuses_a_queue_that_is_not_there(
        self, options: dict[str, Any], queue_name: str | None, wrong: str
    ) -> None:
        """When the receiver is connected, and not when its first event was committed."""
        backend = RQBackend("default", options)
        task = Task("shop.score", score, run, queue_name=queue_name)

        with pytest.raises(InvalidReceiverError, match=f"'{wrong}', which is not in RQ_QUEUES"):
            backend.register(task)

    @pytest.mark.parametrize("entry", [{"SERIALIZER": "nosuch.JSON"}, {"DEFAULT_TIMEOUT": "soon"}])
    def test_names_the_setting_of_a_queue_that_cannot_be_made(
        self, entry: dict[str, Any], settings: Any
    ) -> None:
        settings.RQ_QUEUES["default"].update(entry)

        with pytest.raises(SettingsError, match=r"^RQ_QUEUES\['default'\] cannot be used: "):
            RQBackend("default", {}).register(Task("shop.score", score, run))

    def test_refuses_any_queue_where_there_are_none(self, settings: Any) -> None:
        del settings.RQ_QUEUES

        with pytest.raises(InvalidReceiverError, match="There are: none"):
            RQBackend("default", {}).register(Task("shop.score", score, run))

    @pytest.mark.parametrize(
        "option",
        ["args", "depends_on", "description", "job_id", "kwargs", "name", "pipeline", "unique"],
    )
    def test_refuses_what_enqueue_would_eat(self, option: str) -> None:
        """And what one receiver cannot have for all its events."""
        task = Task("shop.score", score, run, options={option: "x"})

        with pytest.raises(InvalidReceiverError, match=f"option '{option}', .* takes at_front,"):
            RQBackend("default", {}).validate_task(task)

    @pytest.mark.parametrize("option", ["job_timeout", "ttl", "result_ttl", "failure_ttl"])
    @pytest.mark.parametrize("seconds", [2**31, str(sys.maxsize), "999999d"])
    def test_refuses_more_seconds_than_there_are(self, option: str, seconds: int | str) -> None:
        """Redis would refuse the job after the commit, or the worker could not set its alarm."""
        task = Task("shop.score", score, run, options={option: seconds})

        with pytest.raises(InvalidReceiverError) as raised:
            RQBackend("default", {}).validate_task(task)

        assert str(raised.value) == (
            f"Receiver 'shop.score' has {option}={seconds!r}. It may have at most 2147483647 "
            "seconds, which are 68 years; -1 stands for no limit, of ttl= None."
        )

    @pytest.mark.parametrize("option", ["job_timeout", "ttl", "result_ttl", "failure_ttl"])
    def test_takes_as_many_seconds_as_there_are(self, option: str) -> None:
        """And None, for what RQ takes by itself."""
        for value in (2**31 - 1, "24855d", None):
            task = Task("shop.score", score, run, options={option: value})

            RQBackend("default", {}).validate_task(task)

    @pytest.mark.parametrize(
        "retry",
        [
            Retry(max=3, interval=10**12),
            Retry(max=3, interval=[10, 2**31]),
            Retry(max=3, interval=[]),
            Retry(max=3, interval=[float("nan")]),
        ],
        ids=repr,
    )
    def test_refuses_a_retry_of_no_time(self, retry: Retry) -> None:
        """The worker would end with an error of its own, when the receiver raises."""
        task = Task("shop.score", score, run, options={"retry": retry})

        with pytest.raises(InvalidReceiverError) as raised:
            RQBackend("default", {}).validate_task(task)

        assert str(raised.value) == (
            f"Receiver 'shop.score' has retry={retry!r}. It needs an interval, and each has "
            "at most 2147483647 seconds, which are 68 years."
        )

    @pytest.mark.parametrize(
        "callback",
        [
            Callback(lambda job, *args: None),
            Callback("5m"),
            Callback("shop.<locals>.note"),
            Callback(note_failure, timeout=2**31),
        ],
        ids=lambda callback: str(callback.name),
    )
    @pytest.mark.parametrize("option", ["on_success", "on_failure", "on_stopped"])
    def test_refuses_a_callback_that_no_worker_can_call(
        self, option: str, callback: Callback
    ) -> None:
        """A job that was done would be one that failed, and run again."""
        task = Task("shop.score", score, run, options={option: callback})

        with pytest.raises(InvalidReceiverError, match=f"{option}=.*at module level"):
            RQBackend("default", {}).validate_task(task)

    @pytest.mark.parametrize(
        "callback",
        [Callback(note_failure), Callback("shop.later.note", timeout="5m"), Callback("print")],
        ids=lambda callback: str(callback.name),
    )
    def test_takes_a_callback(self, callback: Callback) -> None:
        """Which need not be there yet: its module may be the one that connects the receiver."""
        task = Task("shop.score", score, run, options={"on_success": callback})

        RQBackend("default", {}).validate_task(task)

    @pytest.mark.parametrize("given", [note_failure, "shop.later.note"])
    def test_takes_a_function_by_itself(self, given: Any) -> None:
        """As RQ does, which warns of it."""
        task = Task("shop.score", score, run, options={"on_success": given})

        with pytest.warns(DeprecationWarning, match="pass `Callback` instead"):
            RQBackend("default", {}).validate_task(task)

    @pytest.mark.parametrize(
        "retry", [Retry(max=3), Retry(max=3, interval=[2**31 - 1, 0]), None, 0]
    )
    def test_takes_a_retry(self, retry: Any) -> None:
        """And what is none for RQ."""
        task = Task("shop.score", score, run, options={"retry": retry})

        RQBackend("default", {}).validate_task(task)

    @pytest.mark.parametrize("ttl", [299, "5m"])
    def test_refuses_a_job_that_is_gone_before_it_is_due(self, ttl: int | str) -> None:
        """RQ drops it, and nobody hears of it."""
        options = {"ttl": ttl}
        task = Task("shop.score", score, run, run_after=timedelta(minutes=5), options=options)

        with pytest.raises(InvalidReceiverError, match=f"ttl={ttl!r}.*run_after of 300 s"):
            RQBackend("default", {}).validate_task(task)

    @pytest.mark.parametrize("ttl", [301, "6m", None])
    def test_takes_a_job_that_is_there_when_it_is_due(self, ttl: int | str | None) -> None:
        options = {"ttl": ttl}
        task = Task("shop.score", score, run, run_after=timedelta(minutes=5), options=options)

        RQBackend("default", {}).validate_task(task)

    @pytest.mark.parametrize(
        "options",
        [
            {"retry": 3},
            {"job_timeout": 0},
            {"job_timeout": "soon"},
            {"ttl": 0},
            {"on_failure": 3},
            {"meta": "shop"},
            {"meta": {"key": print}},
            {"retry": Retry(max=1.5)},
            {"retry": Retry(max=True)},
        ],
        ids=str,
    )
    def test_refuses_options_of_which_there_is_no_job(
        self, options: dict[str, Any], settings: Any
    ) -> None:
        """RQ would find that out after the commit."""
        settings.RQ_QUEUES["default"]["SERIALIZER"] = JSON
        task = Task("shop.score", score, run, options=options)

        with pytest.raises(InvalidReceiverError, match="of which RQ cannot make a job"):
            RQBackend("default", {}).register(task)

    def test_asks_nothing_of_the_projects_own_classes(self, settings: Any) -> None:
        """They may ask Redis, which is not there."""
        settings.RQ_QUEUES["default"]["QUEUE_CLASS"] = "tests.rq_project.Capped"
        settings.RQ = {"JOB_CLASS": "tests.rq_project.AskingJob"}

        RQBackend("default", {}).register(Task("shop.score", score, run))

    def test_does_not_run_what_it_looks_at(self, settings: Any) -> None:
        """In a queue that runs its jobs at once."""
        settings.RQ_QUEUES["default"]["ASYNC"] = False

        RQBackend("default", {}).register(Task("shop.score", score, run))

        assert ran == []


@pytest.mark.services
class TestJob:
    def test_calls_what_runs_the_receiver_with_one_text(self, project: Project) -> None:
        """Whatever the names of its keywords, nothing of it is an option."""
        backends["default"].enqueue(project.task(), '{"events": []}')

        (job,) = project.jobs()
        assert job.func_name == path_of("shop.receivers.score")
        assert (job.args, job.kwargs) == (['{"events": []}'], {})

    @pytest.mark.parametrize("name", ["a closure", "shop:label.", "x.<locals>.y", "größe"])
    def test_leads_to_a_receiver_of_any_name(self, project: Project, name: str) -> None:
        backends["default"].enqueue(project.task(name), "1")

        project.work()

        assert ran == ["1"]

    def test_is_described_by_the_receivers_name(self, project: Project) -> None:
        backends["default"].enqueue(project.task("shop.receivers.print_label"), "1")

        assert project.jobs()[0].description == "shop.receivers.print_label"

    @pytest.mark.parametrize(("serializer", "load"), [(JSON, json.loads), (None, pickle.loads)])
    def test_is_written_as_the_queue_has_it(
        self, project: Project, serializer: str | None, load: Callable[[bytes], Any]
    ) -> None:
        """JSON where the project says so, and RQ's own pickle where it does not."""
        backend = project.set_up(SERIALIZER=serializer)
        backend.enqueue(project.task(), "1")

        (job,) = project.queue().job_ids
        written = project.queue().connection.hget(f"rq:job:{job}", "data")
        assert list(load(zlib.decompress(written))) == [
            path_of("shop.receivers.score"), None, ["1"] if serializer else ("1",), {},
        ]  # fmt: skip

    def test_has_the_receivers_options(self, project: Project) -> None:
        task = project.task(
            options={
                "retry": Retry(max=3, interval=[10, 60]),
                "job_timeout": "2m",
                "result_ttl": 7,
                "ttl": 600,
                "failure_ttl": 8,
                "meta": {"team": "shop"},
                "on_failure": Callback(note_failure),
            }
        )

        backends["default"].enqueue(task, "1")

        (job,) = project.jobs()
        assert (job.retries_left, job.retry_intervals) == (3, [10, 60])
        assert (job.timeout, job.result_ttl, job.ttl, job.failure_ttl) == (120, 7, 600, 8)
        assert job.meta == {"team": "shop"}
        assert job.failure_callback is note_failure

    def test_goes_to_the_front(self, project: Project) -> None:
        hurried = project.task("shop.hurried", options={"at_front": True})

        backends["default"].enqueue_many([(project.task(), "1"), (hurried, "2")])

        assert project.payloads() == ["2", "1"]

    @pytest.mark.parametrize("run_after", [None, timedelta(hours=1)])
    def test_has_the_queues_own_times(
        self, project: Project, settings: Any, run_after: timedelta | None
    ) -> None:
        """Those of RQ_QUEUES, whether it waits or not."""
        backend = project.set_up(DEFAULT_TIMEOUT=33, DEFAULT_RESULT_TTL=44)

        backend.enqueue(project.task(run_after=run_after), "1")

        (job,) = jobs_of(project.queue())
        assert (job.timeout, job.result_ttl) == (33, 44)

    def test_waits_until_its_time_has_come(self, project: Project) -> None:
        """RQ counts in whole seconds: never is it early."""
        task = project.task(run_after=timedelta(seconds=90))
        before = datetime.now(UTC)

        backends["default"].enqueue(task, "1")

        assert project.jobs() == []
        registry = project.queue().scheduled_job_registry
        (job_id,) = registry.get_job_ids()
        due = registry.get_scheduled_time(job_id)
        assert timedelta(seconds=90) <= due - before < timedelta(seconds=100)

    @pytest.mark.parametrize("name", ["shop.receivers.gone", "os.system"])
    def test_fails_where_its_receiver_is_unknown(self, project: Project, name: str) -> None:
        """Nothing else is run. It is not lost: whoever looks after the queue can run it again."""
        project.queue().enqueue(path_of(name), "true")

        project.work()

        (failure,) = project.failures()
        assert f"UnknownReceiverError: No task receiver is named {name!r}" in failure
        project.task(name)
        registry = project.queue().failed_job_registry
        registry.requeue(registry.get_job_ids()[0])
        project.work()
        assert ran == ["true"]

    def test_fails_in_a_worker_with_another_serializer(self, project: Project) -> None:
        """Which is what rqworker has, unless it is told. The job is not lost either."""
        backends["default"].enqueue(project.task(), "1")

        project.work(serializer="rq.serializers.DefaultSerializer")

        assert ran == []
        (failure,) = project.failures()
        assert "DeserializationError" in failure
        project.queue().failed_job_registry.requeue(
            project.queue().failed_job_registry.get_job_ids()[0]
        )
        project.work()
        assert ran == ["1"]


@pytest.mark.services
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("mode", ["on_db_commit", "request_finished", "auto"])
class TestTransactions:
    """django-rq's COMMIT_MODE is for what projects enqueue themselves."""

    def test_of_another_database(self, project: Project, settings: Any, mode: str) -> None:
        """What is committed there is not for the transaction on "default" to decide."""
        settings.RQ = {"COMMIT_MODE": mode}
        receiver_task(post_save, sender=Item, name="shop.score")(score)

        with transaction.atomic():
            with transaction.atomic(using="other"):
                Item.objects.using("other").create(name="a")
                assert project.jobs() == []
            (waiting,) = project.jobs()
            transaction.set_rollback(True)

        assert project.jobs() == [waiting]

    def test_that_roll_back(self, project: Project, settings: Any, mode: str) -> None:
        settings.RQ = {"COMMIT_MODE": mode}
        receiver_task(post_save, sender=Item, name="shop.score")(score)

        with transaction.atomic():
            Item.objects.create(name="a")
            transaction.set_rollback(True)

        assert project.jobs() == []


@pytest.mark.services
class TestMany:
    def test_keep_their_order(self, project: Project) -> None:
        """More than go out together, of several receivers."""
        first, second = project.task("shop.a"), project.task("shop.b")
        messages = [((first, second)[n % 2], str(n)) for n in range(250)]

        assert backends["default"].enqueue_many(messages) == []

        assert project.payloads() == [str(n) for n in range(250)]
        assert {job.description for job in project.jobs()} == {"shop.a", "shop.b"}

    def test_go_to_their_queues(self, project: Project) -> None:
        """Those that wait for their time among them."""
        here, there = project.task("shop.a"), project.task("shop.b", queue_name=project.other)
        later = project.task("shop.c", run_after=timedelta(hours=1))

        found = backends["default"].enqueue_many(
            [(later, "1"), (here, "2"), (there, "3"), (later, "4"), (here, "5")]
        )

        assert found == []
        assert project.payloads() == ["2", "5"]
        assert project.payloads(project.other) == ["3"]
        assert len(project.queue().scheduled_job_registry) == 2

    def test_share_a_connection_in_few_steps(self, project: Project, gate: Gate) -> None:
        """Of all queues of one Redis."""
        backend = project.set_up(url=gate.url)
        here, there = project.task("shop.a"), project.task("shop.b", queue_name=project.other)

        backend.enqueue_many([(here, "1"), (there, "2")] * 100)
        backend.enqueue_many([(here, "1"), (there, "2")] * 100)

        assert gate.accepted == 1
        assert len(project.jobs()) == 200

    def test_of_a_queue_that_is_none(self, project: Project) -> None:
        """A key of another type: its jobs are refused, and those of other queues are not."""
        backend = project.set_up()
        here, there = project.task("shop.a"), project.task("shop.b", queue_name=project.other)
        connection = project.queue().connection
        connection.set(f"rq:queue:{project.name}", "no list")

        found = backend.enqueue_many([(here, "1"), (there, "2"), (here, "3")])
        connection.delete(f"rq:queue:{project.name}")

        assert refused(found) == ["1", "3"]
        assert "WRONGTYPE" in str(found[0].error)
        assert all(each.is_of_queue for each in found)
        assert project.payloads(project.other) == ["2"]
        backend.enqueue(here, "it is asked again at once")

    def test_of_which_one_cannot_be_made(self, project: Project) -> None:
        """By the project's own queue class. The others go out, and nothing of that one."""
        backend = project.set_up(QUEUE_CLASS="tests.rq_project.Choosy")
        task = project.task()

        found = backend.enqueue_many([(task, "1"), (task, "bad"), (task, "3")])

        assert [type(each.error.__cause__) for each in found] == [LookupError]
        assert refused(found) == ["bad"]
        assert [each.is_objection for each in found] == [True]
        assert project.payloads() == ["1", "3"]

    def test_of_which_one_fails_without_a_text(self, project: Project) -> None:
        """The text of an exception is made by its class, which may be the project's."""
        backend = project.set_up(QUEUE_CLASS="tests.rq_project.Choosy")
        task = project.task()

        found = backend.enqueue_many([(task, "1"), (task, "unsayable"), (task, "3")])

        assert refused(found) == ["unsayable"]
        assert UNSAYABLE in str(found[0].error)
        assert project.payloads() == ["1", "3"]

    def test_of_a_queue_class_that_asks_redis(self, project: Project) -> None:
        """Each job goes out by itself, and the class sees those before it."""
        backend = project.set_up(QUEUE_CLASS="tests.rq_project.Capped")
        task, later = project.task(), project.task("shop.b", run_after=timedelta(hours=1))

        found = backend.enqueue_many([(later, "0"), *numbered(task, 5), (later, "5")])

        assert project.payloads() == ["0", "1", "2"]
        assert refused(found) == ["3", "4", "5"]
        assert {str(each.error.__cause__) for each in found} == {"enough is waiting"}
        assert {each.is_objection for each in found} == {True}
        assert {each.is_of_queue for each in found} == {False}

    def test_of_a_job_class_that_asks_redis(self, project: Project, settings: Any) -> None:
        settings.RQ = {"JOB_CLASS": "tests.rq_project.AskingJob"}

        assert backends["default"].enqueue_many(numbered(project.task(), 3)) == []

        assert project.payloads() == ["0", "1", "2"]

    def test_of_a_queue_class_without_redis(self, project: Project) -> None:
        """It is asked once, and the others fail at once."""
        backend = project.set_up(QUEUE_CLASS="tests.rq_project.Capped")
        task = project.task()
        backend = project.set_up(
            url=f"redis://127.0.0.1:{closed_port()}", QUEUE_CLASS="tests.rq_project.Capped"
        )

        found = backend.enqueue_many(numbered(task, 3))

        assert refused(found) == ["0", "1", "2"]
        assert {each.is_objection or each.is_of_queue for each in found} == {False}

    def test_when_redis_goes_away_among_them(self, project: Project, gate: Gate) -> None:
        """What it has taken is not refused, and the rest is, each by itself."""
        backend = project.set_up(url=gate.url)
        task = project.task()
        backend.enqueue(task, "before")
        gate.when_sent(200_000, gate.refuse)  # a hundred jobs are about 80,000

        found = backend.enqueue_many(numbered(task, 1000))

        taken = project.payloads()[1:]
        assert 0 < len(taken) < 1000
        assert len(taken) % 100 == 0
        assert taken + refused(found) == [str(n) for n in range(1000)]
        gate.open()

    def test_when_the_answer_is_lost(self, project: Project, gate: Gate) -> None:
        """They may have been taken, and are refused. None is sent twice."""
        backend = project.set_up(url=gate.url)
        task = project.task()
        backend.enqueue(task, "before")
        gate.stutter()

        found = backend.enqueue_many(numbered(task, 3))

        assert refused(found) == ["0", "1", "2"]
        assert project.payloads() == ["before", "0", "1", "2"]

    def test_when_there_is_no_memory(self, project: Project, monkeypatch: Any) -> None:
        """Redis discards the transaction: all of them are refused."""
        backend = project.set_up()
        task = project.task()
        # What noeviction answers while the commands are queued, from a command that it lacks.
        real = _rq_queues.put

        def put(queue: Any, task: Task, payload: str, pipeline: Any = None) -> None:
            real(queue, task, payload, pipeline)
            if payload == "1":
                pipeline.execute_command("NO-SUCH-COMMAND")

        monkeypatch.setattr(_rq_publishing, "put", put)

        found = backend.enqueue_many(numbered(task, 3))

        assert refused(found) == ["0", "1", "2"]
        assert project.payloads() == []

    def test_of_no_queue(self, project: Project, settings: Any) -> None:
        """An entry that was taken out of RQ_QUEUES, or cannot be used: a BackendError."""
        backend, task = project.set_up(), project.task()
        settings.RQ_QUEUES = {}
        with pytest.raises(BackendError, match="could not publish: KeyError"):
            backend.enqueue(task, "1")

        settings.RQ_QUEUES = {project.name: {"HOST": "127.0.0.1"}}
        with pytest.raises(BackendError, match="could not publish: KeyError"):
            backend.enqueue(task, "1")

    def test_of_many_threads(self, project: Project, gate: Gate) -> None:
        """Each job once, and no connection by two threads at a time."""
        backend = project.set_up(url=gate.url)
        task = project.task()

        def enqueue(name: str) -> None:
            for number in range(25):
                backend.enqueue(task, f"{name}{number}")

        in_threads(enqueue, *"abcdefghijkl")

        expected = [f"{name}{n}" for name in "abcdefghijkl" for n in range(25)]
        assert sorted(project.payloads()) == sorted(expected)
        (_, _, publisher) = backend._publishers[0]
        assert len(publisher._idle) <= _rq_publishing.MAX_IDLE


@pytest.mark.services
class TestAtOnce:
    """ASYNC is off, as it may be in a project's tests."""

    def test_runs_here(self, project: Project) -> None:
        backend = project.set_up(ASYNC=False)

        backend.enqueue_many(numbered(project.task(), 3))

        assert ran == ["0", "1", "2"]
        assert project.jobs() == []

    @pytest.mark.django_db(transaction=True, databases=["default", "other"])
    def test_runs_after_the_commit(self, project: Project) -> None:
        project.set_up(ASYNC=False)
        name = f"shop.{uuid.uuid4().hex}"
        receiver_task(post_save, sender=Item, name=name)(lambda **kwargs: ran.append("ran"))

        with transaction.atomic():
            Item.objects.create(name="a")
            assert ran == []

        assert ran == ["ran"]

    @pytest.mark.django_db(transaction=True, databases=["default", "other"])
    def test_is_without_the_callers_mutes(
        self, project: Project, heard_while_muted: Callable[[], list[str]]
    ) -> None:
        """As in a worker."""
        project.set_up(ASYNC=False)

        assert heard_while_muted() == ["by the task of a"]

    def test_keeps_failures_to_itself(self, project: Project) -> None:
        """They are where RQ has them, and the next job is run."""
        backend = project.set_up(ASYNC=False)
        failing = project.task("shop.fails", run=fail)

        found = backend.enqueue_many([(failing, "1"), (project.task(), "2")])

        assert found == []
        assert ran == ["2"]
        assert "the failure of a receiver" in project.failures()[0]

    def test_keeps_the_receivers_meta(self, project: Project) -> None:
        """What a job writes to its own is not in the next one."""
        backend = project.set_up(ASYNC=False)
        meta = {"runs": 0}

        def count(payload: str) -> None:
            from rq import get_current_job

            get_current_job().meta["runs"] += 1
            ran.append(str(get_current_job().meta["runs"]))

        task = project.task("shop.counts", run=count, options={"meta": meta})
        backend.enqueue_many(numbered(task, 2))

        assert (ran, meta) == (["1", "1"], {"runs": 0})


ENTRIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "HOST": lambda port: {"HOST": "127.0.0.1", "PORT": port, "DB": 9},
    "URL": lambda port: {"URL": f"redis://127.0.0.1:{port}/9?socket_timeout=60"},
    "SENTINELS": lambda port: {
        "SENTINELS": [("127.0.0.1", port)], "MASTER_NAME": "main", "DB": 9,
        "SENTINEL_KWARGS": {"socket_timeout": 60}, "CONNECTION_KWARGS": {"socket_timeout": 60},
    },
    "USE_REDIS_CACHE": lambda port: {"USE_REDIS_CACHE": "rq"},
}  # fmt: skip


class TestRedisThatIsNotThere:
    @pytest.mark.parametrize("kind", ENTRIES)
    def test_is_waited_for_once(self, settings: Any, broken_port: int, kind: str) -> None:
        """A thousand events of one transaction do not wait a thousand times."""
        settings.CACHES = {
            "rq": {
                "BACKEND": "tests.rq_project.RedisCache",
                "LOCATION": f"redis://127.0.0.1:{broken_port}/9",
            },
        }
        settings.RQ_QUEUES = {"default": ENTRIES[kind](broken_port)}
        backend = RQBackend("default", {})
        task = Task("shop.score", score, run)
        backend.validate_task(task)
        found: list[Refused] = []

        took = seconds(lambda: found.extend(backend.enqueue_many(numbered(task, 1000))))

        assert refused(found) == [str(n) for n in range(1000)]
        assert took < 5

    def test_over_a_socket_of_the_system(self, settings: Any, tmp_path: Path) -> None:
        """Which accepts, and says nothing."""
        path = str(tmp_path / "redis.sock")
        settings.RQ_QUEUES = {"default": {"UNIX_SOCKET_PATH": path, "DB": 9}}
        backend = RQBackend("default", {"publish_timeout": 0.2})
        task = Task("shop.score", score, run)
        backend.validate_task(task)

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen(5)
            took = seconds(lambda: backend.enqueue_many(numbered(task, 3)))

        assert took < 5

    def test_is_named_in_the_error(self, settings: Any) -> None:
        port = closed_port()
        settings.RQ_QUEUES = {"default": {"HOST": "127.0.0.1", "PORT": port, "DB": 9}}
        backend = RQBackend("default", {})
        task = Task("shop.score", score, run)
        backend.validate_task(task)

        with pytest.raises(BackendError, match=f"ConnectionError: .* 127.0.0.1:{port}"):
            backend.enqueue(task, "1")

    def test_is_asked_by_one_thread_at_a_time(self, settings: Any) -> None:
        """Once it has failed, the threads of a server do not all wait for it together."""
        errors: list[str] = []
        task = Task("shop.score", score, run)
        backend = RQBackend("default", {"publish_timeout": 0.3})

        def enqueue(_: str) -> None:
            try:
                backend.enqueue(task, "1")
            except BackendError as error:
                errors.append(str(error))

        with silent_port() as port:
            settings.RQ_QUEUES = {"default": {"HOST": "127.0.0.1", "PORT": port, "DB": 9}}
            enqueue("first")
            allowed_again = time.monotonic() + 0.3
            eventually(lambda: time.monotonic() > allowed_again)
            in_threads(enqueue, *"abcdefgh")

        assert len(errors) == 9
        assert sum("BrokerNotAskedError" not in error for error in errors) == 2


@pytest.mark.services
class TestConnections:
    def test_are_kept(self, project: Project, gate: Gate) -> None:
        backend = project.set_up(url=gate.url)
        task = project.task()

        for number in range(10):
            backend.enqueue(task, str(number))

        assert gate.accepted == 1
        assert len(project.jobs()) == 10

    @pytest.mark.parametrize("quiet", [0.0, 60.0])
    def test_that_redis_closed(
        self, project: Project, gate: Gate, monkeypatch: pytest.MonkeyPatch, quiet: float
    ) -> None:
        """It was restarted: nothing is refused, and nothing arrives twice."""
        monkeypatch.setattr(_rq_publishing, "QUIET", quiet)
        backend = project.set_up(url=gate.url)
        task = project.task()
        backend.enqueue(task, "1")
        gate.cut()

        backend.enqueue(task, "2")

        assert project.payloads() == ["1", "2"]

    def test_that_a_firewall_forgot(
        self, project: Project, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody answers on them any more. One that was idle is asked first."""
        monkeypatch.setattr(_rq_publishing, "QUIET", 0.0)
        backend = project.set_up(url=gate.url)
        task = project.task()
        backend.enqueue(task, "1")
        gate.forget()

        took = seconds(lambda: backend.enqueue(task, "2"))

        assert project.payloads() == ["1", "2"]
        assert took < 5

    def test_that_fall_silent(self, project: Project, gate: Gate) -> None:
        """One in use, whose Redis hangs, costs a moment too. Then it is asked again."""
        backend = project.set_up(url=gate.url)
        task = project.task()
        backend.enqueue(task, "1")
        gate.freeze()

        def publish() -> None:
            with pytest.raises(BackendError, match="TimeoutError"):
                backend.enqueue(task, "2")

        assert seconds(publish) < 5
        gate.cut()

        def comes_back() -> bool:
            try:
                backend.enqueue(task, "3")
            except BackendError:
                return False
            return True

        eventually(comes_back)
        assert project.payloads() == ["1", "3"]

    def test_are_not_shared_with_a_forked_child(self, project: Project, gate: Gate) -> None:
        backend = project.set_up(url=gate.url)
        task = project.task()
        backend.enqueue(task, "parent")
        # Another thread is just about to try again after a failure: its lock is never released
        # in the child.
        ((_, _, publisher),) = backend._publishers
        publisher._turns._ask_again_at = 0.0

        publisher._turns._turn.acquire()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            try:
                backend.enqueue(task, "child")
            except BaseException:
                os._exit(1)
            os._exit(0)
        publisher._turns._turn.release()
        _, status = os.waitpid(child, 0)
        backend.enqueue(task, "parent again")

        assert status == 0
        assert gate.accepted == 2
        assert project.payloads() == ["parent", "child", "parent again"]

    def test_end_with_the_backend(self, project: Project, gate: Gate) -> None:
        """As when tests change its settings."""
        backend = project.set_up(url=gate.url)
        backend.enqueue(project.task(), "1")

        backends.forget()

        eventually(lambda: gate._pairs == [])

    def test_of_the_project_are_not_touched(self, project: Project, settings: Any) -> None:
        """A cache has its own limits, and goes on with them."""
        settings.CACHES = {
            "rq": {"BACKEND": "tests.rq_project.RedisCache", "LOCATION": project.url},
        }
        entry = {"USE_REDIS_CACHE": "rq", "SERIALIZER": JSON}
        backend = project.set_up_entries({project.name: entry, project.other: entry})

        backend.enqueue(project.task(), "1")

        assert project.payloads() == ["1"]
        pool = caches["rq"]._client.connection_pool  # type: ignore[attr-defined]
        assert pool.connection_kwargs["socket_timeout"] == 77
        assert pool._available_connections == []


class TestChecks:
    @pytest.fixture
    def found(self, settings: Any) -> Callable[..., list[str]]:
        """Return the ids of what the checks say of a queue that a receiver goes to."""

        def check(**entry: Any) -> list[str]:
            address = {"HOST": "127.0.0.1", "PORT": closed_port(), "DB": 9}
            # That of the second queue is not spoken of: nothing goes there.
            settings.RQ_QUEUES = {"default": {**address, **entry}, "unused": address}
            backend = RQBackend("default", {})
            backend.register(Task("shop.score", score, run))
            messages = backend.check()
            assert all("'default'" in message.msg and message.hint for message in messages)
            return [str(message.id) for message in messages]

        return check

    @pytest.mark.parametrize("serializer", [None, "rq.serializers.DefaultSerializer"])
    @pytest.mark.parametrize("debug", [True, False])
    def test_w008(
        self, found: Callable[..., list[str]], settings: Any, debug: bool, serializer: Any
    ) -> None:
        """Jobs are pickled, which is what RQ does unless it is told."""
        settings.DEBUG = debug

        assert found(SERIALIZER=serializer) == ["signals_plus.W008"]

    @pytest.mark.parametrize("serializer", [JSON, JSONSerializer])
    def test_w008_is_silent(self, found: Callable[..., list[str]], serializer: Any) -> None:
        assert found(SERIALIZER=serializer) == []

    @pytest.mark.parametrize(("debug", "expected"), [(True, []), (False, ["signals_plus.W009"])])
    def test_w009(
        self, found: Callable[..., list[str]], settings: Any, debug: bool, expected: list[str]
    ) -> None:
        """Jobs run inside the request."""
        settings.DEBUG = debug

        assert found(SERIALIZER=JSON, ASYNC=False) == expected

    @pytest.mark.parametrize(
        "entry",
        [
            {},
            {"HOST": "127.0.0.1"},
            {"URL": "foo"},
            {"USE_REDIS_CACHE": "nosuch"},
            {"URL": "redis://x", "QUEUE_CLASS": "nosuch.Queue"},
            {"HOST": "x", "PORT": 1, "DB": 0, "REDIS_CLIENT_KWARGS": {"nosuch": 1}},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("debug", [True, False])
    def test_e009(self, entry: dict[str, Any], settings: Any, debug: bool) -> None:
        """No connection and no queue can be made of the entry: each event would be lost."""
        settings.DEBUG = debug
        settings.RQ_QUEUES = {"default": entry}
        backend = RQBackend("default", {})
        backend.register(Task("shop.score", score, run))

        (error,) = backend.check()

        assert (error.id, error.level) == ("signals_plus.E009", ERROR)
        assert error.msg.startswith("RQ_QUEUES['default'] cannot be used: ")
        assert error.hint

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("nosuch.note", ["signals_plus.W017"]),
            ("tests.rq_project.nosuch", ["signals_plus.W017"]),
            ("tests.rq_project.note_failure", []),
            ("print", []),
        ],
    )
    def test_w017(self, settings: Any, path: str, expected: list[str]) -> None:
        """A callback that cannot be imported, in production and before."""
        settings.DEBUG = True
        settings.RQ_QUEUES = {"default": {"URL": "redis://x", "SERIALIZER": JSON}}
        backend = RQBackend("default", {})
        options = {"on_success": Callback(path), "retry": Retry(max=1)}
        backend.register(Task("shop.score", score, run, options=options))

        found = backend.check()

        assert [message.id for message in found] == expected
        assert all(f"'shop.score' has on_success={path!r}, which" in each.msg for each in found)

    @pytest.mark.parametrize(
        ("source", "said"),
        [("raise LookupError('no such key')", "LookupError: no such key."), ("def", "SyntaxError")],
    )
    def test_w017_of_a_module_that_raises(
        self, settings: Any, tmp_path: Path, monkeypatch: Any, source: str, said: str
    ) -> None:
        """Whatever it raises: manage.py check, migrate and runserver go on."""
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "broken_callbacks.py").write_text(source)
        settings.RQ_QUEUES = {"default": {"URL": "redis://x", "SERIALIZER": JSON}}
        backend = RQBackend("default", {})
        options = {"on_success": Callback("broken_callbacks.note")}
        backend.register(Task("shop.score", score, run, options=options))

        (warning,) = backend.check()

        assert warning.id == "signals_plus.W017"
        assert "'shop.score' has on_success='broken_callbacks.note', which" in warning.msg
        assert f"cannot be imported here: {said}" in warning.msg

    def test_nothing_where_no_receiver_is_a_job(self, settings: Any) -> None:
        settings.RQ_QUEUES = {"default": {"URL": through("redis://x", 1)}}

        assert RQBackend("default", {}).check() == []
