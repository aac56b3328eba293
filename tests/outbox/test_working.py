"""What becomes of a message when its receiver has something to say to the queue."""

from __future__ import annotations

from typing import Any

import pytest
from celery.exceptions import Ignore, Reject, Retry
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
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
        task.run(payload)
        assert outbox.messages() == []
        assert Tag.objects.count() == 1


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
