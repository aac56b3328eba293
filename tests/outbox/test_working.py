"""What becomes of a message when its receiver has something to say to the queue."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery.exceptions import Ignore, Reject, Retry
from django.db import Error, OperationalError, connection, transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.exceptions import PayloadError
from signals_plus.outbox.models import Message
from signals_plus.outbox.signals import message_delivered, message_failed
from tests.errors import UNSAYABLE, Unsayable
from tests.outbox.conftest import Outbox, committing_tests
from tests.queues import RecordingBackend
from tests.testapp.models import Item, Tag


@committing_tests
class TestQueuesOwnException:
    """A receiver that raises Celery's Retry, Ignore or Reject."""

    @pytest.mark.parametrize("answer", [Retry("later"), Ignore(), Reject("not here")])
    def test_reaches_the_queue_and_keeps_the_message(
        self, answer: Exception, outbox: Outbox, queue: RecordingBackend
    ) -> None:
        """What the receiver wrote is undone; the queue, or the relay, delivers it again."""
        answers = [answer]

        def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
            Tag.objects.create(name=instance.name)
            if answers:
                raise answers.pop()

        receiver_task(post_save, sender=Item, durable=True, name="shop.a")(handle)
        with transaction.atomic():
            Item.objects.create(name="a")
        ((task, payload),) = queue.enqueued

        with pytest.raises(type(answer)):
            task.run(payload)

        (message,) = outbox.messages()
        assert (message.status, message.attempts) == (Message.Status.PENDING, 1)
        assert not Tag.objects.exists()
        outbox.make_due()
        task.run(payload)
        assert outbox.messages() == []
        assert Tag.objects.count() == 1


@committing_tests
class TestBackoff:
    """The time after a failure."""

    @pytest.mark.parametrize("atomic", [True, False])
    def test_holds_for_copies_as_well(
        self, atomic: bool, outbox: Outbox, queue: RecordingBackend
    ) -> None:
        """The queue has many, if there was no worker for a while: they are no attempts."""
        calls: list[str] = []

        def fail(sender: Any, instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)
            raise LookupError

        receiver_task(post_save, sender=Item, durable=True, atomic=atomic, name="shop.a")(fail)
        with transaction.atomic():
            Item.objects.create(name="a")
        ((task, payload),) = queue.enqueued
        with pytest.raises(LookupError):
            task.run(payload)

        for _ in range(5):
            task.run(payload)

        assert calls == ["a"]
        (message,) = outbox.messages()
        assert message.attempts == 1
        outbox.make_due()
        with pytest.raises(LookupError):
            task.run(payload)
        assert calls == ["a", "a"]

    @pytest.mark.parametrize("atomic", [True, False])
    def test_is_not_kept_from_a_worker_by_a_relay_that_is_older(
        self, atomic: bool, outbox: Outbox, queue: RecordingBackend
    ) -> None:
        """It does not know the receiver, and could never enqueue it again."""
        calls: list[str] = []

        def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
            calls.append(instance.name)

        receiver_task(post_save, sender=Item, durable=True, atomic=atomic, name="shop.a")(handle)
        with transaction.atomic():
            Item.objects.create(name="a")
        ((task, payload),) = queue.enqueued
        outbox.make_due()
        Message.objects.update(receiver="unknown")
        assert outbox.relay.run_once() == 0
        Message.objects.update(receiver="shop.a")
        assert [each.attempts for each in outbox.messages()] == [1]

        task.run(payload)

        assert calls == ["a"]
        assert outbox.messages() == []


@committing_tests
class TestServerThatIsGone:
    @pytest.mark.parametrize("atomic", [True, False])
    def test_while_a_receiver_runs_is_its_error(
        self,
        atomic: bool,
        outbox: Outbox,
        queue: RecordingBackend,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """And that the failure could not be recorded is said."""

        def refuse() -> None:
            raise OperationalError("the server is gone")

        def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
            monkeypatch.setattr(connection, "connect", refuse)
            connection.connection.close()
            Item.objects.count()

        receiver_task(post_save, sender=Item, durable=True, atomic=atomic, name="shop.a")(handle)
        with transaction.atomic():
            Item.objects.create(name="a")
        ((task, payload),) = queue.enqueued

        with pytest.raises(Error):
            task.run(payload)

        monkeypatch.undo()
        connection.close()
        (message,) = outbox.messages()
        # A driver may have connected again by itself.
        is_recorded = message.attempts == 1
        assert is_recorded or "The failure of task shop.a could not be recorded" in caplog.messages


@committing_tests
class TestPayload:
    @pytest.mark.parametrize(
        ("changed", "problem"),
        [
            ({"using": "orders"}, "its database 'orders' is none of this process's"),
            ({"message": 5}, "malformed"),
            ({"message": ["x"]}, "malformed"),
        ],
    )
    def test_that_cannot_be_read_is_an_error(
        self, changed: dict[str, Any], problem: str, outbox: Outbox, queue: RecordingBackend
    ) -> None:
        """And the message is kept."""
        receiver_task(post_save, sender=Item, durable=True, name="shop.a")(lambda **kwargs: None)
        with transaction.atomic():
            Item.objects.create(name="a")
        ((task, payload),) = queue.enqueued

        with pytest.raises(PayloadError, match=problem):
            task.run(json.dumps({**json.loads(payload), **changed}))
        with pytest.raises(PayloadError):
            task.run("[" * 100_000)

        assert len(outbox.messages()) == 1


@committing_tests
class TestHookOfTheReceiver:
    """What the receiver leaves to ``transaction.on_commit`` runs when the message is done."""

    def test_that_raises_undoes_nothing(self, outbox: Outbox, queue: RecordingBackend) -> None:
        """The queue hears of it; the message has been delivered, and the next one gets its turn."""

        def fail() -> None:
            raise ZeroDivisionError

        def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
            Tag.objects.create(name=instance.name)
            transaction.on_commit(fail)

        told: list[str] = []

        def note_failure(**kwargs: Any) -> None:
            told.append("failed")

        def note_delivery(**kwargs: Any) -> None:
            told.append("delivered")

        message_failed.connect(note_failure)
        message_delivered.connect(note_delivery)
        receiver_task(
            post_save, sender=Item, durable=True, name="shop.a",
            ordering_key=lambda **kwargs: "key",
        )(handle)  # fmt: skip
        with transaction.atomic():
            Item.objects.create(name="a")
            Item.objects.create(name="b")
        ((task, payload),) = queue.enqueued

        with pytest.raises(ZeroDivisionError):
            task.run(payload)

        assert told == ["delivered"]
        assert Tag.objects.get().name == "a"
        assert len(outbox.messages()) == 1
        assert len(queue.enqueued) == 2


@committing_tests
class TestErrorWithoutAText:
    """An exception whose ``__str__`` raises is one more failure, and not one that is forgotten."""

    def test_of_a_receiver_is_counted(self, outbox: Outbox, queue: RecordingBackend) -> None:
        def handle(sender: Any, **kwargs: Any) -> None:
            raise Unsayable

        receiver_task(post_save, sender=Item, durable=True, name="shop.a")(handle)
        with transaction.atomic():
            Item.objects.create(name="a")
        ((task, payload),) = queue.enqueued

        with pytest.raises(Unsayable):
            task.run(payload)

        (message,) = outbox.messages()
        assert message.attempts == 1
        assert message.last_error == UNSAYABLE

    def test_with_letters_that_not_all_databases_have_is_counted(
        self, outbox: Outbox, queue: RecordingBackend
    ) -> None:
        """The "utf8" of older MySQL databases ends at three bytes."""

        def handle(sender: Any, **kwargs: Any) -> None:
            raise LookupError("caf\xe9 \U0001f600")

        receiver_task(post_save, sender=Item, durable=True, name="shop.a")(handle)
        with transaction.atomic():
            Item.objects.create(name="a")
        ((task, payload),) = queue.enqueued

        with pytest.raises(LookupError):
            task.run(payload)

        (message,) = outbox.messages()
        face = "\\U0001f600" if connection.vendor == "mysql" else "\U0001f600"
        assert message.last_error == f"LookupError: caf\xe9 {face}"
