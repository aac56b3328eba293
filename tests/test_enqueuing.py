"""What is handed to the queues together."""

from __future__ import annotations

from typing import Any, cast

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_on_commit, receiver_task
from signals_plus.backends.handler import backends
from tests.queues import RecordingBackend
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


def run(sender: Any, instance: Item, **kwargs: Any) -> None:
    ran.append(instance.name)


def save(*names: str) -> None:
    with transaction.atomic():
        for name in names:
            Item.objects.create(name=name)


def queue(alias: str) -> RecordingBackend:
    return cast("RecordingBackend", backends[alias])


def calls(alias: str) -> list[list[str]]:
    """Return the names of the tasks of each call of ``enqueue_many``."""
    return [[task.name for task, _ in call] for call in queue(alias).calls]


@pytest.fixture(autouse=True)
def _two_queues(settings: Any) -> None:
    entry = {"BACKEND": "tests.queues.RecordingBackend"}
    settings.SIGNALS_PLUS_BACKENDS = {"default": entry, "mail": entry}


@pytest.mark.parametrize("events", [3, 60], ids=["few", "more than have entries of their own"])
def test_to_each_of_two_queues_all_of_its_own(events: int) -> None:
    """In the order sent, whatever goes to the other one in between."""
    names = [str(number) for number in range(events)]
    receiver_task(post_save, sender=Item, name="first")(run)
    receiver_task(post_save, sender=Item, name="mail", backend="mail")(lambda **kwargs: None)
    receiver_task(post_save, sender=Item, name="last")(lambda **kwargs: None)

    save(*names)

    assert calls("default") == [["first", "last"] * events]
    assert calls("mail") == [["mail"] * events]
    for task, payload in queue("default").enqueued:
        task.run(payload)
    assert ran == names


def test_not_past_what_runs_at_the_commit() -> None:
    """A receiver with a higher priority has its turn before the task of the same event."""
    seen: list[int] = []
    receiver_on_commit(post_save, sender=Item, priority=1)(
        lambda **kwargs: seen.append(len(calls("default")))
    )
    receiver_task(post_save, sender=Item, name="task")(run)
    receiver_task(post_save, sender=Item, name="mail", backend="mail")(lambda **kwargs: None)

    save("a", "b")

    assert seen == [0, 1]
    assert calls("default") == [["task"], ["task"]]
    assert calls("mail") == [["mail"], ["mail"]]
