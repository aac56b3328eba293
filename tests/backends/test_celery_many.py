"""Many messages at once: they are what one at a time would be, and none is lost without a word."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery, Task, _state, signals
from celery.exceptions import Reject
from celery.utils.dispatch import Signal
from django.db.models.signals import post_save
from kombu import Connection, Message, Queue
from kombu.exceptions import OperationalError

from signals_plus import receiver_task
from signals_plus.backends.base import Refused
from signals_plus.backends.base import Task as ReceiverTask
from signals_plus.backends.handler import backends
from signals_plus.registry import registry
from tests.backends.conftest import MakeApp
from tests.errors import UNSAYABLE, Unsayable
from tests.services import (
    Gate,
    broker_url,
    each_broker,
    payloads_in,
    seconds,
    taken,
    through,
)
from tests.testapp.models import Item

URLS = {"redis": "redis://127.0.0.1:6379/9", "amqp": "amqp://guest:guest@127.0.0.1:5672//"}


def make_task(name: str, **options: Any) -> ReceiverTask:
    def score(sender: Any, **kwargs: Any) -> None:
        """The receiver of all these tests; none of them runs it."""

    receiver_task(post_save, sender=Item, name=name, **options)(score)
    return registry[name].task


def enqueue(*messages: tuple[ReceiverTask, str]) -> list[Refused]:
    return backends["default"].enqueue_many(messages)


def numbered(task: ReceiverTask, count: int) -> list[tuple[ReceiverTask, str]]:
    return [(task, f"{task.name} {number}") for number in range(count)]


def texts(messages: list[tuple[ReceiverTask, str]]) -> list[str]:
    return [payload for _, payload in messages]


class Counting(Task):
    """A task class of a project's own, as any that counts or limits what is published."""

    seen: list[str] = []  # noqa: RUF012

    def apply_async(self, args: Any = None, *rest: Any, **options: Any) -> Any:
        self.seen.append(args[0])
        return super().apply_async(args, *rest, **options)


class Choosy(Task):
    """Will not publish a message whose payload ends in 1."""

    def apply_async(self, args: Any = None, *others: Any, **options: Any) -> Any:
        if args[0].endswith("1"):
            raise Reject("a message that the project does not want", requeue=False)
        if args[0] == "unsayable":
            raise Unsayable
        return super().apply_async(args, *others, **options)


class AnswerLost(Task):
    """A task whose first message is taken by a broker whose answer then does not arrive."""

    lost: list[str] = []  # noqa: RUF012

    def apply_async(self, *args: Any, **options: Any) -> Any:
        result = super().apply_async(*args, **options)
        if not self.lost:
            self.lost.append(result.id)
            raise OperationalError("the answer was lost")
        return result


class TestMessageSentAgain:
    """One whose answer was lost on an idle connection arrives twice."""

    @pytest.mark.parametrize("count", [1, 3])
    def test_keeps_its_id(self, count: int, make_app: MakeApp) -> None:
        """So that whoever counts tasks by id counts it once; the first of many too."""
        app = make_app()
        enqueue(*numbered(make_task("shop.before"), 1))
        taken(app)
        AnswerLost.lost.clear()
        task = make_task("shop.answer_lost", base=AnswerLost)

        refused = enqueue(*numbered(task, count))

        ids = [message.headers["id"] for message in taken(app)]
        assert refused == []
        assert len(ids) == count + 1
        assert ids[0] == ids[1] == AnswerLost.lost[0]


class TestCopy:
    """Of many messages of one task Celery makes the first; see Note [Copied messages]."""

    @pytest.mark.parametrize(
        ("options", "conf"),
        [
            ({}, {}),
            ({"queue": "mail"}, {}),
            ({"queue_name": "mail"}, {}),
            ({}, {"task_routes": {"shop.*": {"queue": "mail", "priority": 3}}}),
            ({"exchange": "mail", "routing_key": "mail", "queue": "mail"}, {}),
            ({"headers": {"tenant": "a"}}, {}),
            ({"countdown": 3600, "expires": 7200}, {}),
            ({"shadow": "shop.other"}, {}),
            ({"priority": 5, "time_limit": 60, "soft_time_limit": 50}, {}),
            ({"compression": "zlib"}, {}),
            ({"delivery_mode": 1}, {"task_compression": "bzip2"}),
        ],
        ids=str,
    )
    def test_is_what_celery_would_have_made(
        self, options: dict[str, Any], conf: dict[str, Any], make_app: MakeApp
    ) -> None:
        """All that routes a message, or tells a worker how to run it, is the first one's."""
        app = make_app(**conf)
        if "priority" in options:
            options = dict(options)
            app.conf.task_default_priority = options.pop("priority")
        task = make_task("shop.copied", **options)
        queue = "mail" if "mail" in str((options, conf)) else None
        text = '{"quoted": "it\'s", "long": "' + 2000 * "x" + '"}'

        enqueue((task, text))
        enqueue((task, "first"), (task, text))

        made, _, copied = taken(app, queue)
        assert without_id(copied) == without_id(made)

    def test_has_an_id_of_its_own(self, make_app: MakeApp) -> None:
        """A task that nothing caused is the root of what it causes."""
        app = make_app()
        task = make_task("shop.ids")

        enqueue(*numbered(task, 5))

        messages = taken(app)
        assert len({message.headers["id"] for message in messages}) == 5
        for message in messages:
            assert message.headers["root_id"] == message.headers["id"]
            assert message.properties["correlation_id"] == message.headers["id"]

    def test_counts_down_from_the_first(self, make_app: MakeApp) -> None:
        """What was enqueued together is due together."""
        app = make_app()
        task = make_task("shop.countdown_many", countdown=60)

        enqueue(*numbered(task, 5))

        assert len({message.headers["eta"] for message in taken(app)}) == 1

    def test_belongs_to_the_task_that_runs(self, make_app: MakeApp) -> None:
        """What a worker's task enqueues has it as parent, and is among its children."""
        app = make_app()
        task = make_task("shop.children")

        with running(app, root="r", parent="p") as request:
            enqueue(*numbered(task, 3))

        messages = taken(app)
        assert {message.headers["root_id"] for message in messages} == {"r"}
        assert {message.headers["parent_id"] for message in messages} == {"p"}
        ids = [message.headers["id"] for message in messages]
        assert [child.id for child in request.children] == ids


class TestMessageThatSomethingElseSees:
    """Whatever wants to see each message sees it."""

    @pytest.mark.parametrize(
        "signal", [signals.before_task_publish, signals.after_task_publish], ids=lambda s: s.name
    )
    def test_is_sent_to_receivers_of_celerys_signals(
        self, signal: Signal, make_app: MakeApp
    ) -> None:
        """OpenTelemetry and others write their headers there."""
        app = make_app()
        task = make_task("shop.signals")
        seen: list[str] = []

        def see(body: Any, **kwargs: Any) -> None:
            seen.append(body[0][0])

        signal.connect(see)
        messages = numbered(task, 3)
        enqueue(*messages)
        signal.disconnect(see)

        assert seen == texts(messages)
        assert len(taken(app)) == 3

    def test_is_given_to_an_apply_async_of_the_projects_own(self, make_app: MakeApp) -> None:
        """Of a base class."""
        app = make_app(task_cls=Counting)
        task = make_task("shop.own_apply_async")
        Counting.seen.clear()
        messages = numbered(task, 3)

        enqueue(*messages)

        assert Counting.seen == texts(messages)
        assert len(taken(app)) == 3

    @pytest.mark.parametrize("pretends", [False, True])
    @pytest.mark.parametrize(("owner", "name"), [(Task, "apply_async"), (Celery, "send_task")])
    def test_is_given_to_a_tracer(
        self,
        owner: Any,
        name: str,
        pretends: bool,
        make_app: MakeApp,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Which replaces a method of Celery by one that looks just like it."""
        app = make_app()
        task = make_task("shop.traced")
        original = getattr(owner, name)
        calls: list[str] = []

        def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(owner, name, Pretender(original, traced) if pretends else traced)
        enqueue(*numbered(task, 3))

        assert calls == 3 * [name]
        assert len(taken(app)) == 3

    def test_is_given_to_a_router(self, make_app: MakeApp) -> None:
        """A function in task_routes may decide by the arguments."""

        def by_payload(name: str, args: Any, *rest: Any, **kwargs: Any) -> dict[str, str]:
            return {"queue": args[0].partition(" ")[0]}

        app = make_app(task_routes=[by_payload])
        task = make_task("shop.routed")

        enqueue((task, "left 1"), (task, "right 1"), (task, "left 2"))

        assert bodies(taken(app, "left")) == ["left 1", "left 2"]
        assert bodies(taken(app, "right")) == ["right 1"]

    def test_is_given_to_the_shadow_name(self, make_app: MakeApp) -> None:
        """The name that a monitor shows may depend on the arguments."""

        def shadow_name(self: Task, args: Any, kwargs: Any, options: Any) -> str:
            return f"shop.{args[0]}"

        app = make_app()
        task = make_task("shop.shadowed", shadow_name=shadow_name)

        enqueue((task, "a"), (task, "b"))

        assert [message.headers["shadow"] for message in taken(app)] == ["shop.a", "shop.b"]

    def test_is_told_to_a_monitor(self, make_app: MakeApp) -> None:
        """With task_send_sent_event each has an event."""
        app = make_app(task_send_sent_event=True)
        task = make_task("shop.monitored")
        with app.connection_for_read() as connection, connection.channel() as channel:
            events = Queue(uuid.uuid4().hex, exchange=_event_exchange(app), routing_key="#")
            events.bind(channel).declare()

            enqueue(*numbered(task, 3))

            ids = [message.headers["id"] for message in taken(app)]
            sent = [message.decode()["uuid"] for message in taken(app, events.name)]
        assert sent == ids

    def test_keeps_its_result(self, make_app: MakeApp) -> None:
        """With ignore_result=False the result store is told of each."""
        app = make_app(result_backend="cache+memory://")
        task = make_task("shop.result", ignore_result=False)
        told: list[str] = []
        app.backend.on_task_call = lambda producer, task_id: told.append(task_id)

        enqueue(*numbered(task, 3))

        assert told == [message.headers["id"] for message in taken(app)]

    def test_keeps_a_representation_of_the_projects_own(self, make_app: MakeApp) -> None:
        """A project may hide the arguments from its monitors."""
        app = make_app()
        task = make_task("shop.hidden", headers={"argsrepr": "(hidden)"})

        enqueue(*numbered(task, 3))

        assert [message.headers["argsrepr"] for message in taken(app)] == 3 * ["(hidden)"]


class TestEagerApp:
    def test_runs_them_in_order(self, make_app: MakeApp) -> None:
        """As a worker would."""
        make_app(task_always_eager=True)
        ran: list[str] = []
        task = make_task("shop.eager")._replace(run=ran.append)
        backends["default"].register(task)

        refused = enqueue(*numbered(task, 3))

        assert refused == []
        assert ran == texts(numbered(task, 3))

    def test_runs_all_before_it_raises_what_one_raised(
        self, make_app: MakeApp, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With task_eager_propagates the first error reaches the caller; the log has the others."""
        make_app(task_always_eager=True, task_eager_propagates=True)
        ran: list[str] = []

        def run(payload: str) -> None:
            ran.append(payload)
            if payload[-1] in "13":
                raise LookupError(payload)

        task = make_task("shop.eager_errors")._replace(run=run)
        backends["default"].register(task)
        with pytest.raises(LookupError, match="eager_errors 1"):
            enqueue(*numbered(task, 5))

        assert ran == texts(numbered(task, 5))
        logged = [each for each in caplog.records if each.name == "signals_plus"]
        assert [each.message for each in logged] == [
            "Task shop.eager_errors raised as well: LookupError('shop.eager_errors 3')"
        ]
        assert logged[0].exc_info is not None


class TestMessageThatCannotBeMade:
    def test_is_objected_to(self, make_app: MakeApp) -> None:
        """By an apply_async of the project's: that does not change, whenever it is tried."""
        app = make_app(task_cls=Choosy)
        messages = numbered(make_task("shop.objection"), 3)

        refused = enqueue(*messages)

        assert [each.payload for each in refused] == texts(messages)[1:2]
        assert [each.is_objection for each in refused] == [True]
        assert len(taken(app)) == 2

    def test_is_objected_to_without_a_text(self, make_app: MakeApp) -> None:
        """The text of an exception is made by its class, which may be the project's."""
        app = make_app(task_cls=Choosy)
        task = make_task("shop.objection")

        refused = enqueue((task, "unsayable"), (task, "2"))

        assert [each.payload for each in refused] == ["unsayable"]
        assert UNSAYABLE in str(refused[0].error)
        assert len(taken(app)) == 1


class TestBrokerThatCannotBe:
    def test_is_no_reason_to_lose_a_message(self, make_app: MakeApp) -> None:
        """A transport that is not installed is known of only when it is used."""
        make_app("nosuch://")
        messages = numbered(make_task("shop.nosuch"), 3)

        refused = enqueue(*messages)

        assert [each.payload for each in refused] == texts(messages)
        assert "No such transport: nosuch" in str(refused[0].error)
        assert not any(each.is_objection or each.is_of_queue for each in refused)


@each_broker
@pytest.mark.services
class TestManyMessages:
    def test_keep_their_order(self, kind: str, make_app: MakeApp) -> None:
        """On each queue, whichever tasks they are of."""
        app = make_app(broker_url(kind))
        default, mail = app.conf.task_default_queue, f"signals-plus-{uuid.uuid4().hex}"
        a, b, c = make_task("shop.a"), make_task("shop.b"), make_task("shop.c", queue=mail)
        mixed = [each for three in zip(*map(numbered, (a, b, c), 3 * [400])) for each in three]  # noqa: B905

        refused = enqueue(*mixed)

        assert refused == []
        expected = [payload for task, payload in mixed if task is not c]
        assert payloads_in(broker_url(kind), default) == expected
        assert payloads_in(broker_url(kind), mail) == texts(numbered(c, 400))

    def test_of_a_queue_that_does_not_exist_are_refused_alone(
        self, kind: str, make_app: MakeApp
    ) -> None:
        """The project's mistake keeps nothing else from the broker."""
        queue = f"signals-plus-{uuid.uuid4().hex}"
        app = make_app(
            broker_url(kind), task_create_missing_queues=False, task_queues=[Queue(queue)]
        )
        app.conf.task_default_queue = queue
        lost, sent = make_task("shop.lost", queue="nowhere"), make_task("shop.sent")
        mixed = [each for two in zip(numbered(lost, 20), numbered(sent, 20)) for each in two]  # noqa: B905

        refused = enqueue(*mixed)

        assert [each.payload for each in refused] == texts(numbered(lost, 20))
        assert all("nowhere" in str(each.error) for each in refused)
        assert payloads_in(broker_url(kind), queue) == texts(numbered(sent, 20))

    def test_go_to_a_broker_that_closed_the_idle_connection(
        self, kind: str, gate: Gate, make_app: MakeApp
    ) -> None:
        """None is lost, none is refused, and none arrives twice."""
        app = make_app(gate.url)
        messages = numbered(make_task("shop.idle"), 300)
        enqueue(*messages)
        gate.cut()

        refused = enqueue(*messages)

        assert refused == []
        sent = payloads_in(broker_url(kind), app.conf.task_default_queue)
        assert sent == 2 * texts(messages)

    @pytest.mark.parametrize("where", [20_000, 300_000, 600_000])
    def test_survive_a_restart_of_the_broker(
        self, kind: str, where: int, gate: Gate, make_app: MakeApp
    ) -> None:
        """The connection is cut in the middle: what is not known to have arrived is sent again."""
        app = make_app(gate.url)
        task = make_task("shop.restart")
        enqueue((task, "before"))
        messages = numbered(task, 1000)
        gate.when_sent(where, gate.drop)

        refused = enqueue(*messages)

        assert refused == []
        ids = ids_in(broker_url(kind), app.conf.task_default_queue)
        assert list(dict.fromkeys(payload for payload, _ in ids)) == ["before", *texts(messages)]
        assert len(ids) <= 1101
        assert len(set(ids)) == 1001  # a duplicate has the id of the first

    @pytest.mark.parametrize("fault", ["freeze", "refuse"])
    def test_that_a_broker_did_not_take_are_refused(
        self, kind: str, fault: str, gate: Gate, make_app: MakeApp
    ) -> None:
        """It fails in the middle of a thousand: that costs a moment, and each is accounted for."""
        app = make_app(gate.url)
        task = make_task("shop.middle")
        enqueue((task, "before"), (task, "before"))
        messages = numbered(task, 1000)
        gate.when_sent(300_000, getattr(gate, fault))

        refused: list[Refused] = []
        took = seconds(lambda: refused.extend(enqueue(*messages)))

        gate.close()
        _, _, *sent = payloads_in(broker_url(kind), app.conf.task_default_queue)
        left = [each.payload for each in refused]
        assert 0 < len(left) < 1000
        assert left == texts(messages)[-len(left) :]
        assert set(sent) | set(left) == set(texts(messages))
        assert len(set(sent) & set(left)) <= 100
        assert took < 10

    def test_that_a_broker_never_took_are_all_refused(
        self, kind: str, broken_port: int, make_app: MakeApp
    ) -> None:
        """One that refuses, is silent or drops what it is sent is waited for once."""
        make_app(through(URLS[kind], broken_port))
        messages = numbered(make_task("shop.down"), 10_000)

        refused: list[Refused] = []
        took = seconds(lambda: refused.extend(enqueue(*messages)))

        assert [each.payload for each in refused] == texts(messages)
        assert not any(each.is_objection or each.is_of_queue for each in refused)
        assert took < 10


@pytest.mark.services
class TestObjection:
    def test_of_rabbitmq_concerns_what_it_objects_to(self, make_app: MakeApp) -> None:
        """A queue that is full: it answers for each message whether it took it."""
        url = broker_url("amqp")
        full = f"signals-plus-{uuid.uuid4().hex}"
        limits = {"x-max-length": 10, "x-overflow": "reject-publish"}
        with Gate(url) as gate:
            app = make_app(gate.url, task_queues=[Queue(full, queue_arguments=limits)])
            a, b = make_task("shop.full", queue=full), make_task("shop.not_full")
            mixed = [each for two in zip(numbered(a, 60), numbered(b, 60)) for each in two]  # noqa: B905

            refused = enqueue(*mixed)

        sent = payloads_in(url, full)
        assert len(sent) == 10
        assert gate.accepted == 1
        assert {each.payload for each in refused} == set(texts(numbered(a, 60))) - set(sent)
        assert not any(each.is_objection for each in refused)  # the queue is worked off some time
        assert all(each.is_of_queue for each in refused)
        assert payloads_in(url, app.conf.task_default_queue) == texts(numbered(b, 60))

    def test_of_rabbitmq_to_the_login_is_not_one_of_a_queue(self, make_app: MakeApp) -> None:
        stranger = Connection(broker_url("amqp")).clone(userid="nobody", password="wrong")
        make_app(stranger.as_uri(include_password=True))
        messages = numbered(make_task("shop.login"), 3)

        refused = enqueue(*messages)

        assert [each.payload for each in refused] == texts(messages)
        assert "ACCESS_REFUSED" in str(refused[0].error)
        assert not any(each.is_objection or each.is_of_queue for each in refused)

    def test_of_rabbitmq_to_the_queue_costs_few_connections(self, make_app: MakeApp) -> None:
        """It closes the channel when the queue exists with other arguments."""
        url = broker_url("amqp")
        other = f"signals-plus-{uuid.uuid4().hex}"
        with Connection(url) as connection, connection.channel() as channel:
            Queue(other, queue_arguments={"x-max-length": 10}).bind(channel).declare()
        with Gate(url) as gate:
            app = make_app(gate.url)
            a, b = make_task("shop.other", queue=other), make_task("shop.same")
            mixed = [each for two in zip(numbered(a, 200), numbered(b, 200)) for each in two]  # noqa: B905

            refused = enqueue(*mixed)

        assert [each.payload for each in refused] == texts(numbered(a, 200))
        assert all(each.is_of_queue for each in refused)
        assert gate.accepted < 30
        assert payloads_in(url, app.conf.task_default_queue) == texts(numbered(b, 200))
        payloads_in(url, other)

    def test_of_redis_concerns_what_it_objects_to(self, make_app: MakeApp) -> None:
        """What another queue took is not sent again; of the bad one all that is left is refused."""
        kind = "redis"
        url = broker_url(kind)
        bad = f"signals-plus-{uuid.uuid4().hex}"

        def break_queue() -> None:
            with Connection(url) as connection:
                client = connection.default_channel.client
                client.rename(bad, f"{bad}-before")
                client.set(bad, "not a list")

        with Gate(url) as gate:
            app = make_app(gate.url)
            a, b = make_task("shop.bad", queue=bad), make_task("shop.good")
            mixed = [each for two in zip(numbered(a, 200), numbered(b, 200)) for each in two]  # noqa: B905
            gate.when_sent(200_000, break_queue)

            refused = enqueue(*mixed)

        with Connection(url) as connection:
            connection.default_channel.client.delete(bad)
        before = payloads_in(url, f"{bad}-before")
        left = [each.payload for each in refused]
        assert left
        assert not any(each.is_objection for each in refused)
        assert all(each.is_of_queue for each in refused)
        assert before == texts(numbered(a, 200))[: len(before)]
        assert left == texts(numbered(a, 200))[-len(left) :]
        assert len(set(before) & set(left)) <= 100
        assert set(before) | set(left) == set(texts(numbered(a, 200)))
        assert payloads_in(url, app.conf.task_default_queue) == texts(numbered(b, 200))
        payloads_in(url, bad)


class Pretender:
    """What wrapt makes of a function: it gives out the attributes of the one it replaced."""

    def __init__(self, original: Any, replacement: Any) -> None:
        self._original = original
        self._replacement = replacement

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return Pretender(
            self._original.__get__(instance, owner), self._replacement.__get__(instance, owner)
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._replacement(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


@contextmanager
def running(app: Celery, *, root: str, parent: str) -> Iterator[Any]:
    """Be in the middle of a task."""
    app.task(name="shop.running")(fail)
    task = app.tasks["shop.running"]
    _state._task_stack.push(task)
    task.push_request(id=parent, root_id=root, children=[], called_directly=False)
    yield task.request
    task.pop_request()
    _state._task_stack.pop()


def fail(payload: str) -> None:
    raise LookupError("the task failed")


def bodies(messages: list[Message]) -> list[str]:
    return [message.decode()[0][0] for message in messages]


def ids_in(url: str, queue: str) -> list[tuple[str, str]]:
    """Take all payloads out of a queue, and the ids of their tasks."""
    found = []
    with Connection(url) as connection, connection.channel() as channel:
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            decoded = channel.message_to_python(message)
            found.append((decoded.decode()[0][0], decoded.headers["id"]))
    payloads_in(url, queue)
    return found


def without_id(message: Message) -> dict[str, Any]:
    """Return all of a message but what is its own: its ids and the second it was made."""
    headers, properties = dict(message.headers), dict(message.properties)
    assert headers.pop("id") == headers.pop("root_id") == properties.pop("correlation_id")
    for moment in ("eta", "expires"):
        headers[moment] = headers[moment] and headers[moment][:13]
    properties.pop("delivery_tag")
    return {
        "headers": headers,
        "properties": properties,
        "delivery": message.delivery_info,
        "content": (message.content_type, message.content_encoding),
        "body": message.decode(),
    }


def _event_exchange(app: Celery) -> Any:
    from celery.events.event import get_exchange

    with app.connection_for_write() as connection:
        return get_exchange(connection, app.conf.event_exchange)
