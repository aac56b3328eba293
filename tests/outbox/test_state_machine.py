"""Random histories of the outbox, held against a model in memory.

A history is one process that commits, relays and works in any order, with queues that refuse or
lie, and deaths at any moment. What a dead process would not have done is not done here either. Time
passes when the history says so: by that of the machine, a history would not be the same again.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.dispatch import Signal
from django.test import override_settings
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from signals_plus import receiver_task
from signals_plus.backends.base import BaseBackend, Refused, Task
from signals_plus.backends.handler import backends
from signals_plus.exceptions import BackendError
from signals_plus.outbox.models import Message
from signals_plus.outbox.relay import Relay
from signals_plus.outbox.states import RELAYING
from signals_plus.outbox.table import OutboxTable
from tests.outbox import clock
from tests.outbox.conftest import committing_tests
from tests.testapp.models import Tag

MAX_ATTEMPTS = 3
KINDS = ("effect", "ordered", "skipping", "held", "publish")
# Those that are done when their receiver has run, and take effect with it.
EFFECT = ("effect", "ordered", "skipping")
ORDERED = ("ordered", "skipping")


class Killed(BaseException):
    """A process ends: nothing of what comes after is done."""


class Failed(Exception):
    """A receiver raises."""


class MoodyQueue(BaseBackend):
    """Takes messages, refuses them, or takes them and says that it did not."""

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self.mood = "takes"
        self.waiting: list[tuple[Task, str]] = []

    def enqueue(self, task: Task, payload: str) -> None:
        if self.mood == "dies before":
            raise Killed
        if self.mood != "refuses":
            self.waiting.append((task, payload))
        if self.mood == "dies after":
            raise Killed
        if self.mood in ("refuses", "lies"):
            raise BackendError(self.alias, "is down")

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        if self.mood != "objects":
            return super().enqueue_many(messages)
        error = BackendError(self.alias, "does not want it")
        return [Refused(*message, error, is_objection=True) for message in messages]


@dataclass
class Event:
    """What the model knows of one event."""

    kind: str
    number: int
    key: str
    # Runs of its receiver that failed or died, and claims of it that did; none is an outage.
    misfortunes: int = 0
    # Whether the queue had it whole.
    was_enqueued: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind} {self.number}"


@dataclass
class World:
    """What the receivers of a history do, and did."""

    mood: str = "works"
    signals: dict[str, Signal] = field(default_factory=lambda: {kind: Signal() for kind in KINDS})
    receivers: list[Callable[..., None]] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    order: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))

    def connect(self) -> None:
        kinds: dict[str, dict[str, Any]] = {
            "effect": {},
            "ordered": {"ordering_key": lambda key, **kwargs: key},
            "skipping": {"ordering_key": lambda key, **kwargs: key, "on_dead": "skip"},
            "held": {"atomic": False},
            "publish": {"durable": "publish"},
        }
        for kind, options in kinds.items():
            given: dict[str, Any] = {"durable": True, "name": f"machine.{kind}", **options}
            self.receivers.append(receiver_task(self.signals[kind], **given)(self._receiver(kind)))

    def disconnect(self) -> None:
        for signal, receiver in zip(self.signals.values(), self.receivers, strict=True):
            assert signal.disconnect(receiver)

    def _receiver(self, kind: str) -> Callable[..., None]:
        def receive(number: int, key: str, **kwargs: Any) -> None:
            name = f"{kind} {number}"
            self.runs[name] += 1
            if kind != "publish":
                Tag.objects.create(name=name)
            if self.mood == "raises":
                raise Failed
            if self.mood == "dies":
                raise Killed
            self.order[kind, key].append(number)

        return receive


Program = list[Any]

sends = st.tuples(st.sampled_from(KINDS), st.sampled_from("ab"))
programs = st.recursive(
    st.lists(sends, min_size=1, max_size=3),
    lambda inner: st.lists(
        st.one_of(sends, st.tuples(st.just("savepoint"), st.booleans(), inner)),
        min_size=1,
        max_size=4,
    ),
    max_leaves=8,
)


class Outbox(RuleBasedStateMachine):
    """One history."""

    clock: clock.Clock

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.connect()
        queue = backends["default"]
        assert isinstance(queue, MoodyQueue)
        self.queue = queue
        self.queue.mood = "takes"
        self.queue.waiting.clear()
        self.committed: dict[str, Event] = {}
        self.undone: set[str] = set()
        self.count = 0

    def teardown(self) -> None:
        try:
            self.drain()
        finally:
            self.world.disconnect()
            Message.objects.all().delete()
            Tag.objects.all().delete()

    # -- what happens

    @rule(
        program=programs,
        commits=st.booleans(),
        mood=st.sampled_from(["takes", "refuses", "lies", "dies before", "dies after"]),
    )
    def transact(self, program: Program, commits: bool, mood: str) -> None:
        """Send events in a transaction, some of them in savepoints that are rolled back."""
        self.queue.mood = mood
        kept: list[Event] = []
        with suppress(Killed), transaction.atomic():
            kept = self._send(program)
            transaction.set_rollback(not commits)
        if not commits:
            self.undone |= {event.name for event in kept}
            return
        self.committed |= {event.name: event for event in kept}
        self._note_published()

    def _send(self, program: Program) -> list[Event]:
        kept: list[Event] = []
        for step in program:
            if step[0] != "savepoint":
                self.count += 1
                event = Event(step[0], self.count, step[1])
                self.world.signals[event.kind].send(None, number=event.number, key=event.key)
                kept.append(event)
                continue
            _, is_kept, inner = step
            with transaction.atomic():
                events = self._send(inner)
                transaction.set_rollback(not is_kept)
            if is_kept:
                kept += events
            else:
                self.undone |= {event.name for event in events}
        return kept

    @rule(mood=st.sampled_from(["takes", "takes", "refuses", "lies", "objects"]))
    def relay(self, mood: str) -> None:
        self.queue.mood = mood
        before = self._claims()
        Relay(["default"]).run_once()
        if mood == "objects":
            self._note_misfortunes_since(before)
        self._note_published()

    @rule(mood=st.sampled_from(["dies before", "dies after"]))
    def relay_dies_at_the_queue(self, mood: str) -> None:
        self.queue.mood = mood
        before = self._claims()
        with suppress(Killed):
            Relay(["default"]).run_once()
        self._note_misfortunes_since(before)
        self._note_published()

    @rule()
    def relay_dies_before_it_writes(self) -> None:
        """The queue has them, and nothing says so."""
        self.queue.mood = "takes"
        before = self._claims()
        with suppress(Killed), _killed_at("delete", "release", "sent"):
            Relay(["default"]).run_once()
        self._note_misfortunes_since(before)
        self._note_published()

    @precondition(lambda self: self.queue.waiting)
    @rule(
        index=st.integers(0, 50),
        mood=st.sampled_from(["works", "works", "works", "raises", "dies"]),
        leaves_a_copy=st.booleans(),
        queue=st.sampled_from(["takes", "refuses"]),
    )
    def work(self, index: int, mood: str, leaves_a_copy: bool, queue: str) -> None:
        """A worker takes any message: the order of the queue, or of copies, means nothing."""
        index %= len(self.queue.waiting)
        task, payload = self.queue.waiting[index]
        if not leaves_a_copy:
            del self.queue.waiting[index]
        self._run(task, payload, mood, queue)

    @precondition(lambda self: self.queue.waiting)
    @rule(index=st.integers(0, 50))
    def work_dies_before_the_commit(self, index: int) -> None:
        task, payload = self.queue.waiting.pop(index % len(self.queue.waiting))
        self.world.mood, self.queue.mood = "works", "takes"
        before = self.world.runs.copy()
        with suppress(Killed), _killed_at("delete"):
            task.run(payload)
        self._note_failed_runs(before)

    @rule()
    def forget(self) -> None:
        """The broker is gone, with all that it had."""
        self.queue.waiting.clear()

    @rule(seconds=st.sampled_from([1, 5, 40, 700]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self._dead())
    @rule()
    def requeue(self) -> None:
        """A person has all that is dead tried again."""
        names = self._dead()
        Message.objects.filter(status=Message.Status.DEAD).update(
            status=Message.Status.PENDING, attempts=0, due_at=F("created_at"), claimed_by=""
        )
        for name in names:
            self.committed[name].misfortunes = 0

    # -- what is true at any time

    @invariant()
    def nothing_is_left_of_what_was_undone(self) -> None:
        assert not self.undone & self._messages().keys()
        assert not self.undone & self.world.runs.keys()

    @invariant()
    def a_message_is_there_until_its_work_is_done(self) -> None:
        """One or the other, never both and never neither."""
        messages, effects = self._messages(), self._effects()
        assert messages.keys() <= self.committed.keys()
        for name, event in self.committed.items():
            if event.kind in EFFECT:
                assert effects[name] == (name not in messages), name
            elif event.kind == "held":
                assert name in messages or effects[name], name
            else:
                assert name in messages or event.was_enqueued, name

    @invariant()
    def attempts_are_counted(self) -> None:
        """As many as something went wrong, at most, and no outage among them."""
        for name, message in self._messages().items():
            assert 0 <= message.attempts <= MAX_ATTEMPTS, name
            # One that is claimed and was not heard of again counts.
            assert message.attempts <= self.committed[name].misfortunes, name
            if message.status == Message.Status.DEAD:
                assert message.attempts == MAX_ATTEMPTS, name

    @invariant()
    def an_order_is_kept(self) -> None:
        for (kind, _), numbers in self.world.order.items():
            if kind == "ordered":
                assert numbers == sorted(numbers)

    # -- and in the end

    def drain(self) -> None:
        """With time, a queue and workers that work, all that was committed is done."""
        for _ in range(20):
            self.pass_time(700)
            if self._dead():
                self.requeue()
            self.queue.mood = "takes"
            Relay(["default"]).run_once()
            self._note_published()
            while self.queue.waiting:
                task, payload = self.queue.waiting.pop(0)
                self._run(task, payload, "works", "takes")
            if not Message.objects.exists():
                break
        assert not Message.objects.exists()
        self.a_message_is_there_until_its_work_is_done()
        assert not self.undone & self.world.runs.keys()

    # -- looking

    def _run(self, task: Task, payload: str, mood: str, queue: str) -> None:
        self.world.mood, self.queue.mood = mood, queue
        before, tags = self.world.runs.copy(), connection.in_atomic_block
        assert not tags
        with suppress(Killed, Failed):
            task.run(payload)
        if mood != "works":
            self._note_failed_runs(before)

    def _note_failed_runs(self, before: Counter[str]) -> None:
        for name in self.world.runs - before:
            self.committed[name].misfortunes += 1

    def _claims(self) -> dict[str, tuple[int, str]]:
        return {name: (each.attempts, each.claimed_by) for name, each in self._messages().items()}

    def _note_misfortunes_since(self, before: dict[str, tuple[int, str]]) -> None:
        """A relay that dies takes its claims along; what the queue objects to has failed."""
        for name, (attempts, claimed_by) in self._claims().items():
            attempts_before, claimed_before = before[name]
            is_left = claimed_by.startswith(RELAYING) and claimed_by != claimed_before
            if attempts > attempts_before or is_left:
                self.committed[name].misfortunes += 1

    def _note_published(self) -> None:
        for task, payload in self.queue.waiting:
            if task.name == "machine.publish":
                self.committed[_name_in(task.name, payload)].was_enqueued = True

    def _messages(self) -> dict[str, Message]:
        return {_name_in(each.receiver, each.payload): each for each in Message.objects.all()}

    def _dead(self) -> list[str]:
        messages = self._messages().items()
        return [name for name, each in messages if each.status == Message.Status.DEAD]

    def _effects(self) -> Counter[str]:
        return Counter(Tag.objects.values_list("name", flat=True))


def _name_in(receiver: str, payload: str) -> str:
    ((_, _, arguments),) = json.loads(payload)["events"]
    return f"{receiver.rpartition('.')[2]} {arguments['number']}"


@contextmanager
def _killed_at(*names: str) -> Iterator[None]:
    def die(*args: Any, **kwargs: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(OutboxTable, name, die)
        yield


@committing_tests
def test_keeps_what_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        override_settings(
            SIGNALS_PLUS_BACKENDS={"default": {"BACKEND": f"{__name__}.MoodyQueue"}},
            SIGNALS_PLUS_OUTBOX_MAX_ATTEMPTS=MAX_ATTEMPTS,
        ),
        clock.standing() as standing,
    ):
        monkeypatch.setattr(Outbox, "clock", standing, raising=False)
        run_state_machine_as_test(
            Outbox,
            settings=settings(
                max_examples=15 if connection.vendor == "mysql" else 40,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
