"""Messages of durable receivers that no queue has yet: another one is first, or it is not time."""

from __future__ import annotations

import contextvars
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.outbox.models import Message
from signals_plus.testing import capture_tasks
from tests.testapp.models import Item
from tests.testing.test_capture_signals import failure

pytestmark = pytest.mark.django_db(databases=["default", "other"])


class Ledger:
    """A durable receiver with one order for all rows."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fails_for = ""

    def __call__(self, instance: Item, **kwargs: Any) -> None:
        self.ran.append(instance.name)
        if instance.name == self.fails_for:
            raise KeyError(instance.name)


@pytest.fixture
def ledger() -> Ledger:
    """A ledger that is connected."""
    ledger = Ledger()
    receiver_task(
        post_save, sender=Item, durable=True, name="shop.ledger", ordering_key=lambda **kwargs: "k"
    )(ledger)
    return ledger


class TestBehindOneOfTheBlock:
    def test_assertion_says_behind_which(self, ledger: Ledger) -> None:
        """The second of a key is not enqueued before the first has run."""
        with capture_tasks() as tasks, transaction.atomic():
            Item.objects.create(name="a")
            second = Item.objects.create(name="b")

        text = failure(tasks.assert_enqueued, ledger, instance=second)
        assert "Nearest" not in text
        assert (
            f"Hint: shop.ledger: from testapp.Item instance=<testapp.Item pk={second.pk}> " in text
        )
        assert (
            "waits in the outbox behind task 1 of this block, which has the same ordering key, "
            "'k'. run() runs that one, and then enqueues this one." in text
        )
        assert "Waiting in the outbox:\n      shop.ledger: from testapp.Item" in text
        tasks.run()
        assert ledger.ran == ["a", "b"]
        tasks.assert_enqueued(ledger, instance=second, times=1)
        assert "Waiting" not in str(tasks)

    def test_outside_of_atomic(self, ledger: Ledger) -> None:
        """A message is known that is written after the event."""
        with capture_tasks() as tasks:
            Item.objects.create(name="a")
            second = Item.objects.create(name="b")

        assert "behind task 1" in failure(tasks.assert_enqueued, ledger, times=2)
        assert "behind task 1" in failure(tasks.assert_not_enqueued, ledger, instance=second)

    def test_run_says_what_it_left(self, ledger: Ledger) -> None:
        """What one task raised keeps those of its key back."""
        ledger.fails_for = "b"
        with capture_tasks() as tasks:
            for name in "abc":
                Item.objects.create(name=name)

        with pytest.raises(KeyError) as caught:
            tasks.run()
        assert ledger.ran == ["a", "b"]
        (note,) = caught.value.__notes__
        assert "Left: shop.ledger: from testapp.Item" in note
        assert "behind task 2 of this block" in note
        assert "It has raised KeyError('b')" in note
        assert "behind task 2 of this block" in failure(tasks.run)

    def test_immediate_says_what_it_left(self, ledger: Ledger) -> None:
        """The error is raised at the end of the block, with a note."""
        ledger.fails_for = "a"
        with pytest.raises(KeyError) as caught, capture_tasks(immediate=True):
            Item.objects.create(name="a")
            Item.objects.create(name="b")

        assert ledger.ran == ["a"]
        assert any("behind task 1 of this block" in note for note in caught.value.__notes__)

    def test_nothing_is_left_where_all_run(self, ledger: Ledger) -> None:
        """Each is enqueued by the one before."""
        with capture_tasks(immediate=True) as tasks:
            for name in "abc":
                Item.objects.create(name=name)

        assert ledger.ran == ["a", "b", "c"]
        assert len(tasks.of(ledger)) == 3

    def test_what_the_test_removes_is_not_left(self, ledger: Ledger) -> None:
        """What is done or discarded by other means waits no more."""
        with capture_tasks() as tasks:
            Item.objects.create(name="a")
            Item.objects.create(name="b")
        assert "Waiting" in str(tasks)
        Message.objects.latest("id").delete()

        tasks.run()
        assert ledger.ran == ["a"]
        assert "Waiting" not in str(tasks)


class TestBehindOneFromBefore:
    @pytest.fixture(autouse=True)
    def earlier(self, ledger: Ledger) -> Message:
        """A message that nobody has captured."""
        Item.objects.create(name="before")
        return Message.objects.get()

    def test_assertions_name_it(self, ledger: Ledger, earlier: Message) -> None:
        """And say what to do about it."""
        with capture_tasks() as tasks:
            item = Item.objects.create(name="a")

        expected = (
            f"behind message {earlier.message_id}, which has the same ordering key, 'k'. It was "
            "there before the block, and no worker does it: write what saves its row inside "
            "capture_tasks(immediate=True), or under mute_signals()."
        )
        assert expected in failure(tasks.assert_enqueued, ledger, instance=item)
        text = failure(tasks.assert_not_enqueued, ledger, instance=item)
        assert "was not to be enqueued, and it will be later" in text
        assert expected in text
        assert expected in failure(tasks.assert_nothing_enqueued)
        assert expected in failure(tasks.run)
        assert ledger.ran == []

    def test_immediate_fails(self, ledger: Ledger) -> None:
        """A worker would have run it."""
        with pytest.raises(AssertionError, match="It was there before the block"):  # noqa: SIM117
            with capture_tasks(immediate=True):
                Item.objects.create(name="a")

    def test_an_error_of_the_block_comes_first(self, ledger: Ledger) -> None:
        """What was left is its note."""
        with pytest.raises(ValueError, match="mine") as caught:  # noqa: SIM117
            with capture_tasks(immediate=True):
                Item.objects.create(name="a")
                raise ValueError("mine")
        assert "It was there before the block" in caught.value.__notes__[0]

    def test_set_up_as_the_message_says(self, ledger: Ledger, earlier: Message) -> None:
        """Nothing is in the way."""
        earlier.delete()
        with capture_tasks(immediate=True):
            Item.objects.create(name="set-up")

        with capture_tasks(immediate=True) as tasks:
            item = Item.objects.create(name="a")
        assert ledger.ran == ["set-up", "a"]
        tasks.assert_enqueued(ledger, instance=item)

    def test_that_has_gone(self, ledger: Ledger, earlier: Message) -> None:
        """Nobody enqueues the next one, where the relay would."""
        with capture_tasks() as tasks:
            Item.objects.create(name="a")
        earlier.delete()
        assert "waits in the outbox for the relay, which no block sees" in failure(tasks.run)

    def test_of_another_context(self, ledger: Ledger) -> None:
        """It is not of the block."""
        outside = contextvars.copy_context()
        with capture_tasks() as tasks:
            outside.run(Item.objects.create, name="a")
        assert Message.objects.count() == 2
        tasks.assert_nothing_enqueued()

    def test_dead(self, ledger: Ledger, earlier: Message) -> None:
        """It is named as such."""
        earlier.status = Message.Status.DEAD
        earlier.save()
        with capture_tasks() as tasks:
            Item.objects.create(name="a")
        assert f"behind message {earlier.message_id}, which has" in failure(tasks.run)
        assert "It is dead" in failure(tasks.run)


class TestRunAfter:
    def test_is_left_to_the_relay(self) -> None:
        """Neither enqueued nor nothing; running what was enqueued does not concern it."""

        def remind(**kwargs: Any) -> None: ...

        receiver_task(
            post_save, sender=Item, durable=True, name="shop.remind", run_after=timedelta(hours=1)
        )(remind)
        with capture_tasks() as tasks:
            item = Item.objects.create(name="a")

        text = failure(tasks.assert_enqueued, remind, instance=item, run_after=timedelta(hours=1))
        assert "waits in the outbox until its run_after=, 1:00:00, is over" in text
        assert "then the relay enqueues it" in text
        assert "until its run_after=" in failure(tasks.assert_not_enqueued, remind)
        tasks.assert_not_enqueued(remind, instance=Item(pk=10_000))
        assert tasks.run() == []


class TestQueries:
    def test_none_is_seen(self, ledger: Ledger, django_assert_num_queries: Any) -> None:
        """A test counts those of production: here a row, a message, and whether it is its turn."""
        with capture_tasks() as tasks:
            with django_assert_num_queries(3):
                Item.objects.create(name="a")
            with django_assert_num_queries(3):
                Item.objects.create(name="b")
        assert "Waiting" in str(tasks)
