"""What a relay does with messages that it cannot enqueue, and with those behind them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from django.db import connection, connections, transaction
from django.db.models import F
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.backends.base import Refused, Task
from signals_plus.backends.handler import backends
from signals_plus.exceptions import BackendError
from signals_plus.outbox import retention
from signals_plus.outbox.deliveries import fail
from signals_plus.outbox.models import Message
from signals_plus.outbox.moments import Moment
from signals_plus.outbox.outages import Outages
from signals_plus.outbox.relay import Relay
from signals_plus.outbox.rows import StoredMessage
from signals_plus.outbox.table import OutboxTable
from signals_plus.testing import run_on_commit
from tests.outbox.conftest import Outbox, committing_tests
from tests.outbox.test_commands import NAME, handle, write
from tests.queues import RecordingBackend
from tests.testapp.models import Item

QUEUE = {"BACKEND": "tests.queues.RecordingBackend"}


@committing_tests
class TestRelay:
    @pytest.fixture(autouse=True)
    def _receivers(self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("signals_plus.outbox.relay.BATCH", 2)
        receiver_task(post_save, sender=Item, durable=True, name=NAME)(handle)

    def test_does_not_wait_while_something_is_due(self, queue: RecordingBackend) -> None:
        """Though the batches before it can none of them be enqueued."""
        for _ in range(6):
            write(receiver="gone")
        write()
        enqueued: list[int] = []

        def wait(seconds: float) -> None:
            enqueued.append(len(queue.enqueued))
            relay.stop()

        relay = Relay(["default"], wait=wait)
        relay.run()

        assert enqueued == [1]


@pytest.mark.django_db(databases=["default", "other"])
def test_works_within_a_test_case(outbox: Outbox, queue: RecordingBackend) -> None:
    """Its transaction is open, though the connection says otherwise."""
    receiver_task(post_save, sender=Item, durable=True, name=NAME)(handle)

    with run_on_commit():
        write()
        outbox.relay.run_once()

    assert len(queue.enqueued) == 1


@committing_tests
class TestPuttingOff:
    """What a relay has enqueued and nobody has done is due again, some time later."""

    @pytest.fixture(autouse=True)
    def _receivers(self, outbox: Outbox, settings: Any) -> None:
        settings.SIGNALS_PLUS_OUTBOX_GRACE = 30
        receiver_task(post_save, sender=Item, durable=True, name=NAME)(handle)

    def relayed(self, outbox: Outbox, message: Message) -> float:
        """Relay a message; return by how many seconds it is put off then."""
        assert outbox.relay.run_once() == 1
        return next(
            seconds
            for seconds in (30, 60, 120, 300, 600)
            if Message.objects.filter(pk=message.pk, due_at__lt=Moment(seconds + 10)).exists()
        )

    @pytest.mark.parametrize(("since", "seconds"), [(1, 30), (60, 60), (300, 300), (9000, 600)])
    def test_takes_longer_the_longer_it_has_been_due(
        self, since: float, seconds: float, outbox: Outbox
    ) -> None:
        assert self.relayed(outbox, write(due_since=Moment(-since))) == seconds

    def test_takes_no_longer_for_its_run_after(self, outbox: Outbox) -> None:
        """That is over when it is due for the first time."""
        message = write(created_at=Moment(-9000))

        assert self.relayed(outbox, message) == 30

    def test_begins_again_when_it_is_requeued(self, outbox: Outbox) -> None:
        message = write(attempts=3, due_since=Moment(-9000))

        retention.requeue(Message.objects.all())

        assert self.relayed(outbox, message) == 30


def make_due(receiver: str = NAME) -> None:
    Message.objects.filter(receiver=receiver).update(due_at=F("created_at"))


def handle_elsewhere(sender: Any, **kwargs: Any) -> None:
    """Be a receiver of another queue."""


@committing_tests
class TestQueueThatIsDown:
    """Another one is not, and its messages are behind those of the first."""

    @pytest.fixture(autouse=True)
    def _backlog(
        self, queues: dict[str, RecordingBackend], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("signals_plus.outbox.relay.BATCH", 2)
        receiver_task(post_save, sender=Item, durable=True, name=NAME)(handle)
        receiver_task(post_save, sender=Item, durable=True, name="elsewhere", backend="second")(
            handle_elsewhere
        )
        for number in range(7):
            write(attempts=number % 2, trace=f"{number}")  # suspects, too, and in no group
        for _ in range(3):
            write(receiver="elsewhere")
        queues["default"].refuses = True

    @pytest.fixture
    def queues(self, outbox: Outbox, settings: Any) -> dict[str, RecordingBackend]:
        settings.SIGNALS_PLUS_BACKENDS = {"default": QUEUE, "second": QUEUE}
        queues = {alias: backends[alias] for alias in ("default", "second")}
        return cast("dict[str, RecordingBackend]", queues)

    def test_is_asked_once_while_others_get_theirs(
        self, queues: dict[str, RecordingBackend]
    ) -> None:
        now = [0.0]
        relay = Relay(["default"], clock=lambda: now[0])

        relay.drain()

        assert relay.enqueued == len(queues["second"].enqueued) == 3
        assert len(queues["default"].calls) == 1
        assert relay.unusable == ["Backend 'default'"]
        waiting = Message.objects.filter(receiver=NAME).order_by("id")
        assert [each.attempts for each in waiting] == [0, 1, 0, 1, 0, 1, 0]
        assert waiting.filter(claimed_by="").count() == 7 - 2  # but for one batch, not claimed

    def test_for_hours_is_asked_again_every_few_seconds(self, outbox: Outbox) -> None:
        now = [0.0]
        outages = Outages("Backend", lambda: now[0])

        for _ in range(5000):  # some seven hours
            now[0] += outages.note("default", OSError("refused"))
            assert not outages.is_pausing("default")

        assert 6 * 3600 < now[0] < 7 * 3600

    def test_gets_all_of_its_own_when_it_is_back(self, queues: dict[str, RecordingBackend]) -> None:
        now = [0.0]
        relay = Relay(["default"], clock=lambda: now[0])
        relay.drain()
        queues["default"].refuses = False
        make_due()
        assert relay.run_once() == 0  # it is left alone for a while

        now[0] += 1
        relay.drain()

        assert len(queues["default"].enqueued) == 7
        assert relay.unusable == []

    def test_does_not_keep_the_relay_busy(self, queues: dict[str, RecordingBackend]) -> None:
        now = [0.0]

        def wait(seconds: float) -> None:
            now[0] += seconds
            make_due()
            if now[0] >= 100:
                relay.stop()

        relay = Relay(["default"], clock=lambda: now[0], wait=wait)
        relay.run()

        assert now[0] == 100
        assert len(queues["default"].calls) <= 100 / 5 + 4


class Broken:
    """Makes a queue refuse what is for one receiver."""

    def __init__(self, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers = True
        self.is_mended = False
        self.refused: list[Refused] = []
        self._take = queue.enqueue_many
        monkeypatch.setattr(queue, "enqueue_many", self.take_some)

    def take_some(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        error = BackendError("default", "objects")
        refused = [
            Refused(task, payload, error, is_of_queue=self.answers)
            for task, payload in messages
            if task.name == "broken" and not self.is_mended
        ]
        kept = {each.payload for each in refused}
        self._take([each for each in messages if each[1] not in kept])
        self.refused += refused
        return refused


@committing_tests
class TestQueueThatIsBroken:
    """One of several of a broker: a key of another type, a policy that says no."""

    @pytest.fixture(autouse=True)
    def _receivers(self, outbox: Outbox) -> None:
        receiver_task(post_save, sender=Item, durable=True, name=NAME)(handle)
        receiver_task(post_save, sender=Item, durable=True, name="broken")(handle_elsewhere)

    @pytest.fixture
    def broken(self, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch) -> Broken:
        return Broken(queue, monkeypatch)

    def test_does_not_hold_up_the_others(
        self, broken: Broken, queue: RecordingBackend, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken.answers = False  # so says a backend that cannot tell
        now = [0.0]
        relay = Relay(["default"], clock=lambda: now[0])
        for _ in range(3):
            write(receiver="broken")
            write()

        relay.drain()
        write()
        relay.drain()

        assert [task.name for task, _ in queue.enqueued] == [NAME] * 4
        assert relay.unusable == ["Queue of 'broken'"]
        waiting = Message.objects.filter(
            receiver="broken", attempts=0, claimed_by__startswith="sent:"
        )
        assert waiting.filter(due_at__gt=F("created_at"), due_at__lt=Moment(5)).count() == 3
        assert caplog.messages == [
            "Queue of 'broken' refuses, messages wait: Backend 'default' objects"
        ]

    def test_and_has_the_oldest_does_not_either(
        self,
        broken: Broken,
        queue: RecordingBackend,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """However many: a whole batch that is refused says nothing of a broker that answers."""
        monkeypatch.setattr("signals_plus.outbox.relay.BATCH", 2)
        now = [0.0]
        relay = Relay(["default"], clock=lambda: now[0])
        for _ in range(7):
            write(receiver="broken")
        write(attempts=1)
        write()

        relay.drain()

        assert [task.name for task, _ in queue.enqueued] == [NAME] * 2
        assert relay.unusable == ["Queue of 'broken'"]
        assert len(broken.refused) == 2

        broken.is_mended = True
        now[0] += 10
        make_due("broken")
        relay.drain()

        assert relay.unusable == []
        assert [task.name for task, _ in queue.enqueued[2:]] == ["broken"] * 7
        assert caplog.messages == [
            "Queue of 'broken' refuses, messages wait: Backend 'default' objects",
            "Queue of 'broken' accepts again, after 1 failures in 10 s",
        ]

    @pytest.mark.parametrize("answers", [True, False])
    def test_is_no_reason_to_ask_for_the_rest_of_a_batch(
        self, answers: bool, broken: Broken, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which goes out in several parts, if it is published."""
        monkeypatch.setattr("signals_plus.outbox.deliveries.PUBLISHED_TOGETHER", 2)
        broken.answers = answers
        for _ in range(6):
            write(receiver="broken", effect=False)

        Relay(["default"], clock=lambda: 0.0).run_once()

        assert len(broken.refused) == 2
        left = Message.objects.filter(attempts=0, claimed_by__startswith="sent:")
        assert left.filter(due_at__lt=Moment(5)).count() == 6

    def test_is_not_taken_for_the_broker_afterwards(
        self, broken: Broken, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Though nobody says so, and its messages alone are due."""
        broken.answers = False
        now = [0.0]
        relay = Relay(["default"], clock=lambda: now[0])
        write(receiver="broken")
        write()
        relay.drain()
        for _ in range(3):
            now[0] += 10
            make_due("broken")
            relay.drain()

        assert relay.unusable == ["Queue of 'broken'"]
        assert len(broken.refused) == 4
        assert len(caplog.messages) == 1

    def test_takes_what_it_has_room_for(
        self, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is worked off all the time: those that it refuses wait, those behind them do not."""
        monkeypatch.setattr("signals_plus.outbox.relay.BATCH", 2)
        take = queue.enqueue_many

        def take_first(messages: Sequence[tuple[Task, str]]) -> list[Refused]:
            take(messages[:1])
            error = BackendError("default", "is full")
            return [Refused(*each, error, is_of_queue=True) for each in messages[1:]]

        monkeypatch.setattr(queue, "enqueue_many", take_first)
        for _ in range(12):
            write()

        relay = Relay(["default"], clock=lambda: 0.0)
        relay.drain()

        assert len(queue.enqueued) == 6
        assert relay.unusable == []
        assert Message.objects.filter(due_at__gt=Moment(5), due_at__lt=Moment(15)).count() == 6

    def test_is_asked_ever_more_rarely(self, broken: Broken) -> None:
        now = [0.0]

        def wait(seconds: float) -> None:
            now[0] += seconds
            make_due("broken")
            if now[0] >= 100:
                relay.stop()

        write(receiver="broken")
        relay = Relay(["default"], clock=lambda: now[0], wait=wait)
        relay.run()

        assert len(broken.refused) <= 100 / 5 + 4


@committing_tests
class TestBacklog:
    """More is due than one batch takes."""

    @pytest.fixture(autouse=True)
    def _receivers(self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("signals_plus.outbox.relay.BATCH", 2)
        receiver_task(post_save, sender=Item, durable=True, name=NAME)(handle)

    def test_is_looked_through_for_suspects_a_tenth_of_the_time(
        self, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To find that there is none, the database reads all that is due."""
        now = [0.0]
        looks = []
        claim = OutboxTable.claim

        def claim_slowly(self: OutboxTable, *arguments: Any, **options: Any) -> Any:
            now[0] += 1
            looks.append(options["suspects"])
            return claim(self, *arguments, **options)

        monkeypatch.setattr(OutboxTable, "claim", claim_slowly)
        for _ in range(80):
            write()
        write(attempts=1, claimed_by="relay:1")

        Relay(["default"], clock=lambda: now[0]).drain()

        assert len(queue.enqueued) == 81
        assert looks.count(False) > 40
        assert looks.count(True) <= 1 + 40 / 9 + 4

    def test_of_a_slow_database_gets_smaller_all_the_same(
        self, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        """To claim takes longer than what is claimed is kept."""
        settings.SIGNALS_PLUS_OUTBOX_GRACE = 30
        now = [0.0]
        claim = OutboxTable.claim

        def claim_slowly(*arguments: Any, **options: Any) -> Any:
            now[0] += 31
            return claim(*arguments, **options)

        monkeypatch.setattr(OutboxTable, "claim", claim_slowly)
        for _ in range(4):
            write()

        Relay(["default"], clock=lambda: now[0]).drain()

        assert len(queue.enqueued) == 4

    def test_of_a_relay_that_was_stopped_is_given_back(
        self, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        """Its claims may be another's by now, who would enqueue them as well."""
        monkeypatch.setattr("signals_plus.outbox.relay.BATCH", 6)
        monkeypatch.setattr("signals_plus.outbox.deliveries.PUBLISHED_TOGETHER", 2)
        receiver_task(post_save, sender=Item, durable="publish", name="tell")(handle_elsewhere)
        now = [0.0]
        enqueue_many = queue.enqueue_many

        def be_stopped(messages: Any) -> Any:
            now[0] += settings.SIGNALS_PLUS_OUTBOX_GRACE + 1
            return enqueue_many(messages)

        monkeypatch.setattr(queue, "enqueue_many", be_stopped)
        settings.SIGNALS_PLUS_OUTBOX_GRACE = 30
        for _ in range(6):
            write(receiver="tell", effect=False)

        Relay(["default"], clock=lambda: now[0]).run_once()

        assert len(queue.enqueued) == 2
        left = Message.objects.filter(claimed_by__startswith="sent:", attempts=0)
        assert left.filter(due_at__lt=Moment(1)).count() == 4


@committing_tests
@pytest.mark.skipif(connection.vendor == "sqlite", reason="it locks all or nothing")
class TestNote:
    """A relay notes that the queue has what it claimed."""

    def test_does_not_wait_for_a_worker(self, outbox: Outbox, in_thread: Any) -> None:
        """Who has a row locked will write to it himself."""
        table = OutboxTable("default")
        locked, free = write(claimed_by="relay:1"), write(claimed_by="relay:1")
        ids = [locked.message_id, free.message_id]

        with transaction.atomic():
            assert table.lock(locked.message_id)
            in_thread(lambda: OutboxTable("default").sent("relay:1", ids))

        assert [each.claimed_by for each in outbox.messages()] == ["relay:1", "sent:1"]

    @pytest.mark.parametrize("attempts", [None, 0, 11])
    def test_of_what_is_given_back_does_not_wait_either(
        self, attempts: int | None, outbox: Outbox, in_thread: Any
    ) -> None:
        """A worker may have an older copy, and take long: the others, and SIGTERM, go on."""
        receiver_task(post_save, sender=Item, durable=True, name=NAME)(handle)
        message = write(claimed_by="relay:1")

        def give_back() -> None:
            table = OutboxTable("default")
            if attempts is not None:  # the queue objected to it, perhaps for the last time
                claimed = StoredMessage(
                    message.message_id, NAME, "{}", "", True, None, attempts, "relay:1"
                )
                fail(table, claimed, LookupError(), is_counted=False, blocks=True)
            else:
                table.release("relay:1", [message.message_id], wait=0, is_counted=False)

        with transaction.atomic():
            assert OutboxTable("default").lock(message.message_id)
            in_thread(give_back)

        (left,) = outbox.messages()
        assert (left.claimed_by, left.attempts) == ("relay:1", 0)

    def test_is_waited_for_by_a_worker(
        self,
        outbox: Outbox,
        queue: RecordingBackend,
        in_thread: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Or the work would wait until the relay looks again."""
        received: list[str] = []

        def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
            received.append(instance.name)

        receiver_task(post_save, sender=Item, durable=True, name="shop.a")(handle)
        with transaction.atomic():
            Item.objects.create(name="a")
        outbox.make_due()
        Message.objects.update(claimed_by="relay:1")
        ((task, payload),) = queue.enqueued
        note = transaction.atomic()
        note.__enter__()
        assert OutboxTable("default").lock(Message.objects.get().message_id)
        waits = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            noted.set()
            assert ended.wait(20)

        noted, ended = threading.Event(), threading.Event()
        monkeypatch.setattr("signals_plus.outbox.working.time.sleep", wait)
        with ThreadPoolExecutor(1) as pool:

            def run() -> None:
                task.run(payload)
                connections.close_all()

            running = pool.submit(run)
            assert noted.wait(20)
            note.__exit__(None, None, None)
            ended.set()
            running.result(20)

        assert received == ["a"]
        assert len(waits) == 1

    def test_may_be_made_while_a_worker_asks_for_it(
        self, outbox: Outbox, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then the row is free again, though it was not a moment before."""
        received: list[str] = []
        receiver_task(post_save, sender=Item, durable=True, name="shop.a")(
            lambda instance, **kwargs: received.append(instance.name)
        )
        with transaction.atomic():
            Item.objects.create(name="a")
        ((task, payload),) = queue.enqueued
        lock = OutboxTable.lock
        misses = [None]

        def lock_late(table: OutboxTable, *arguments: Any, **options: Any) -> Any:
            return misses.pop() if misses else lock(table, *arguments, **options)

        monkeypatch.setattr(OutboxTable, "lock", lock_late)
        task.run(payload)

        assert received == ["a"]
