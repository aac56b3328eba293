"""Messages that can never be done: each ends dead, is kept, and is in nobody's way."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.backends.base import BaseBackend, Refused, Task
from signals_plus.exceptions import BackendError
from signals_plus.outbox.models import Message
from signals_plus.outbox.relay import Relay
from signals_plus.outbox.rows import NewMessage
from signals_plus.outbox.stats import stats
from signals_plus.outbox.table import OutboxTable
from tests.outbox.conftest import committing_tests
from tests.outbox.faults.conftest import MAX_ATTEMPTS, Project
from tests.services import eventually
from tests.testapp.models import Item

pytestmark = committing_tests

GOOD = [f"{number:02}" for number in range(10)]


def put(receiver: str, payload: str) -> Message:
    """Write a message as nobody would who has this release."""
    message = NewMessage(uuid4(), receiver, payload, "", True, None, 0)
    OutboxTable("default").insert([message])
    return Message.objects.get(message_id=message.message_id)


def payload(**changed: Any) -> str:
    return json.dumps({"v": 2, "receiver": "chaos.copy", "lineage": [], "events": [], **changed})


class TestPoison:
    @pytest.mark.parametrize(
        ("receiver", "text", "error"),
        [
            ("chaos.gone", payload(receiver="chaos.gone"), "'chaos.gone'"),
            ("chaos.copy", payload(v=99), "99"),
            ("chaos.copy", "{", "chaos.copy"),
            ("chaos.copy", payload(receiver="os.system"), "os.system"),
            ("chaos.copy", payload(events=[["post_save", "shop.Gone", {}]]), "shop.Gone"),
        ],
        ids=["unknown receiver", "newer version", "no JSON", "another receiver", "another model"],
    )
    def test_ends_dead(self, receiver: str, text: str, error: str, project: Project) -> None:
        """It is not deleted, and says why; what was written after it is done at once."""
        poison = put(receiver, text)
        project.produce(*GOOD)

        project.relay()
        project.run_each()
        assert project.effects() == GOOD
        assert stats("default").total.depth == 1  # it is counted all the time

        def is_dead() -> bool:
            project.make_due()
            project.relay()
            project.run_each()
            return project.pending() == 0

        eventually(is_dead)
        poison.refresh_from_db()
        assert (poison.status, poison.attempts) == (Message.Status.DEAD, MAX_ATTEMPTS)
        assert error in poison.last_error
        assert poison.payload == text
        assert stats("default").total.dead == 1

    def test_that_this_release_does_not_know_waits_for_the_next(self, project: Project) -> None:
        """A rolling deploy: the relay is older than the process that wrote it."""
        put("chaos.next", payload(receiver="chaos.next"))
        project.relay()
        assert stats("default").unknown == {"chaos.next": 1}

        done = []

        @receiver_task(post_save, sender=Item, durable=True, name="chaos.next")
        def work(sender: Any, instance: Item, **kwargs: Any) -> None:
            done.append(instance.name)

        item = Item.objects.create(name="a")
        event = ["post_save", "testapp.Item", {"instance": {"$model": item.pk}, "using": "default"}]
        Message.objects.update(payload=payload(receiver="chaos.next", events=[event]))
        project.settle()

        assert done == ["a", "a"]  # its own, and that of the save above
        assert not Message.objects.exists()

    def test_whose_receiver_is_not_durable_here_is_kept(self, project: Project) -> None:
        """A rolling deploy again: given to the queue as a plain task it would be done with."""

        @receiver_task(post_save, sender=Item, name="chaos.plain")
        def work(sender: Any, **kwargs: Any) -> None:
            """Be a receiver of the release before."""

        put("chaos.plain", payload(receiver="chaos.plain"))
        project.queue.take()

        Relay(["default"]).run_once()

        assert project.queue.take() == []
        message = Message.objects.get()
        assert (message.status, message.attempts) == (Message.Status.PENDING, 1)
        assert (
            "'chaos.plain': the message is durable, and it is not durable in this"
            in message.last_error
        )

    @pytest.mark.parametrize(
        "text",
        ["caf\udce9", "a\0b", "\U0001f4a5" * 3000],
        ids=["surrogate", "nul", "long"],
    )
    def test_whose_error_no_database_takes_is_counted(
        self, text: str, project: Project, settings: Any
    ) -> None:
        """A file's name that is no text, for instance, is in the error."""

        @receiver_task(post_save, sender=Item, durable=True, name="chaos.fail")
        def fail(sender: Any, **kwargs: Any) -> None:
            raise FileNotFoundError(text)

        settings.SIGNALS_PLUS_OUTBOX_MAX_ATTEMPTS = 2
        Item.objects.create(name="a")

        for attempts in (1, 2):
            (line,) = project.queue.take()
            with pytest.raises(FileNotFoundError):
                project.do(line)
            message = Message.objects.get()
            assert message.attempts == attempts
            assert message.last_error.startswith("FileNotFoundError: ")
            project.make_due()
            Relay(["default"]).run_once()
        assert message.status == Message.Status.DEAD

    def test_that_has_no_attempts_left_is_not_counted_further(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All of them ended their process, and now the queue does not even want it."""

        def object_to(self: BaseBackend, messages: list[tuple[Task, str]]) -> list[Refused]:
            error = BackendError("default", "does not want it")
            return [Refused(*each, error, is_objection=True) for each in messages]

        project.produce("a")
        Message.objects.update(attempts=MAX_ATTEMPTS)
        project.make_due()
        monkeypatch.setattr(type(project.queue), "enqueue_many", object_to)

        Relay(["default"]).run_once()

        message = Message.objects.get()
        assert (message.status, message.attempts) == (Message.Status.DEAD, MAX_ATTEMPTS)
