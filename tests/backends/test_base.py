"""The port: what a backend does that implements no more than it must, and what is asked of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.backends import base
from signals_plus.backends.base import BaseBackend, Refused, Task, run_task
from signals_plus.backends.dummy import DummyBackend
from signals_plus.backends.handler import backends
from signals_plus.exceptions import BackendError, InvalidReceiverError, UnknownReceiverError
from signals_plus.registry import registry
from signals_plus.testing import receivers_of
from tests.testapp.models import Item, Tag

A = Task(name="shop.a", function=print, run=print)
B = Task(name="shop.b", function=print, run=print)


@pytest.fixture(autouse=True)
def _nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_tasks", {})


class Full(BaseBackend):
    """Takes everything but what says otherwise."""

    def __init__(self) -> None:
        super().__init__("default", {})
        self.taken: list[tuple[str, str]] = []

    def register(self, task: Task) -> None: ...

    def enqueue(self, task: Task, payload: str) -> None:
        if payload == "too much":
            raise BackendError(self.alias, "is full")
        if payload == "broken":
            raise LookupError("an error of the receiver's own")
        self.taken.append((task.name, payload))


class TestEnqueueMany:
    def test_enqueues_one_after_the_other(self) -> None:
        """Several tasks, in the order given."""
        backend = Full()

        refused = backend.enqueue_many([(A, "1"), (B, "2"), (A, "3")])

        assert refused == []
        assert backend.taken == [("shop.a", "1"), ("shop.b", "2"), ("shop.a", "3")]

    def test_returns_what_was_refused(self) -> None:
        """Each with its own error, and the next is enqueued."""
        backend = Full()

        refused = backend.enqueue_many([(A, "1"), (B, "too much"), (A, "3")])

        (one,) = refused
        assert isinstance(one, Refused)
        assert (one.task, one.payload) == (B, "too much")
        assert str(one.error) == "Backend 'default' is full"
        assert backend.taken == [("shop.a", "1"), ("shop.a", "3")]

    def test_lets_other_errors_through(self) -> None:
        """Those of a receiver that runs at once are its caller's, as those of enqueue() are."""
        backend = Full()
        messages: Any = [(A, "broken"), (A, "2")]

        with pytest.raises(LookupError, match="the receiver's own"):
            backend.enqueue_many(messages)


class Plain(Full):
    """Knows nothing but the port."""

    def register(self, task: Task) -> None:
        BaseBackend.register(self, task)


ASKING: dict[str, dict[str, Any]] = {
    "queue_name": {"queue_name": "mail"},
    "queue_priority": {"queue_priority": 3},
    "run_after": {"run_after": timedelta(seconds=5)},
}
FLAGS = {
    "queue_name": "supports_queue_name",
    "queue_priority": "supports_priority",
    "run_after": "supports_run_after",
}


class TestRefuseUnsupported:
    @pytest.mark.parametrize("keyword", ASKING)
    def test_refuses_what_no_flag_allows(self, keyword: str) -> None:
        """With the keyword, its value and the backend."""
        task = A._replace(**ASKING[keyword])

        with pytest.raises(InvalidReceiverError) as caught:
            Plain().refuse_unsupported(task)

        value = ASKING[keyword][keyword]
        assert str(caught.value) == (
            f"Receiver 'shop.a' has {keyword}={value!r}, which the backend 'default' (Plain) does "
            "not support. Leave it out, or name another backend=."
        )

    @pytest.mark.parametrize("keyword", ASKING)
    def test_allows_it_by_its_flag(self, keyword: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """And no other keyword by the same."""
        monkeypatch.setattr(Plain, FLAGS[keyword], True)

        Plain().refuse_unsupported(A._replace(**ASKING[keyword]))

        for other in ASKING.keys() - {keyword}:
            with pytest.raises(InvalidReceiverError):
                Plain().refuse_unsupported(A._replace(**ASKING[other]))

    def test_asks_nothing_of_a_plain_receiver(self) -> None:
        Plain().refuse_unsupported(A)

    def test_refuses_every_option_where_there_are_none(self) -> None:
        with pytest.raises(InvalidReceiverError) as caught:
            Plain().refuse_unsupported(A._replace(options={"ttl": 5}))

        assert str(caught.value) == (
            "Receiver 'shop.a' has the option 'ttl', which the backend 'default' (Plain) does not "
            "take. Leave it out: it takes no options."
        )

    def test_refuses_options_it_does_not_know(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And says which it does."""
        monkeypatch.setattr(Plain, "option_names", frozenset({"ttl", "retries"}))

        Plain().refuse_unsupported(A._replace(options={"ttl": 5}))
        with pytest.raises(
            InvalidReceiverError, match=r"has the option 'tll'.*It takes retries, ttl\."
        ):
            Plain().refuse_unsupported(A._replace(options={"tll": 5}))

    def test_names_the_keywords_that_are_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who writes ``queue=``, as other libraries do, is shown ``queue_name=``."""
        monkeypatch.setattr(Plain, "option_names", frozenset({"ttl"}))
        monkeypatch.setattr(Plain, "supports_queue_name", True)
        monkeypatch.setattr(Plain, "supports_run_after", True)

        with pytest.raises(InvalidReceiverError, match=r"It takes queue_name, run_after, ttl\.$"):
            Plain().refuse_unsupported(A._replace(options={"queue": "mail"}))

    def test_leaves_options_to_register(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the class names none because there is no list of them."""
        monkeypatch.setattr(Plain, "option_names", None)

        Plain().refuse_unsupported(A._replace(options={"anything": 5}))


class TestRunTask:
    def test_runs_what_was_registered(self) -> None:
        """With the payload, and the newest task of the name: a module may be imported again."""
        ran: list[str] = []
        backend = Plain()
        backend.register(A._replace(run=lambda payload: ran.append(f"old {payload}")))
        backend.register(A._replace(run=lambda payload: ran.append(f"new {payload}")))

        run_task("shop.a", "1")

        assert ran == ["new 1"]

    def test_says_what_it_does_not_know(self) -> None:
        """Nothing is imported to find it."""
        with pytest.raises(UnknownReceiverError, match=r"is named 'os\.system'"):
            run_task("os.system", "true")

    def test_lets_the_errors_of_receivers_through(self) -> None:
        """The queue's worker sees them, and can run the task again."""

        def fail(payload: str) -> None:
            raise LookupError(payload)

        Plain().register(A._replace(run=fail))

        with pytest.raises(LookupError, match="1"):
            run_task("shop.a", "1")


class TestValidateTask:
    def test_asks_once_for_each_task(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is called for every event."""
        asked: list[Task] = []
        registered: list[Task] = []
        monkeypatch.setattr(Plain, "refuse_unsupported", lambda self, task: asked.append(task))
        monkeypatch.setattr(Plain, "register", lambda self, task: registered.append(task))
        backend = Plain()

        for task in (A, A, B, A):
            backend.validate_task(task)

        assert asked == registered == [A, B]

    def test_asks_again_for_another_task_of_the_name(self) -> None:
        """A module that was imported again may ask for more."""
        backend = Plain()
        backend.validate_task(A)

        with pytest.raises(InvalidReceiverError, match="queue_name='mail'"):
            backend.validate_task(A._replace(queue_name="mail"))

    def test_refuses_again_what_it_has_refused(self) -> None:
        """Each event of such a receiver rolls its transaction back."""
        backend = Plain()
        task = A._replace(queue_name="mail")

        for _ in range(2):
            with pytest.raises(InvalidReceiverError, match="queue_name='mail'"):
                backend.validate_task(task)


class TestDefaults:
    def test_wait_for_the_commit(self) -> None:
        assert Plain().transaction_alias is None

    def test_have_nothing_to_say(self) -> None:
        """No checks, nothing to close, nothing supported."""
        backend = Plain()

        assert backend.check() == []
        backend.close()
        flags = {name for name in vars(BaseBackend) if name.startswith("supports_")}
        assert {name: getattr(backend, name) for name in flags} == dict.fromkeys(flags, False)


class InTheDatabase(DummyBackend):
    """A queue whose tasks are rows of the default database, written in the user's transaction."""

    @property
    def transaction_alias(self) -> str | None:
        return "default"

    def enqueue(self, task: Task, payload: str) -> None:
        Tag.objects.create(name=task.name)
        super().enqueue(task, payload)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
class TestTransactionAlias:
    @pytest.fixture(autouse=True)
    def _queue(self, settings: Any) -> None:
        settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": f"{__name__}.InTheDatabase"}}

    def test_enqueues_within_the_transaction(self) -> None:
        """At once, and the queue's row is committed with the user's."""
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        with transaction.atomic():
            Item.objects.create()
            assert Tag.objects.filter(name="shop.a").exists()

        ((_, payload),) = backends["default"].enqueued  # type: ignore[attr-defined]
        handled.clear()
        registry["shop.a"].run(payload)
        assert len(handled) == 1
        assert Tag.objects.count() == 1

    @pytest.mark.parametrize("whole", [True, False], ids=["transaction", "savepoint"])
    def test_goes_with_what_is_rolled_back(self, whole: bool) -> None:
        """The row of the queue with the row of the user."""
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        with transaction.atomic():
            Item.objects.create()
            with transaction.atomic():
                Item.objects.create()
                transaction.set_rollback(True)
            if whole:
                transaction.set_rollback(True)

        left = 0 if whole else 1
        assert (Item.objects.count(), Tag.objects.count()) == (left, left)

    @pytest.mark.parametrize("merging", ["batch", "coalesce"])
    def test_has_no_moment_to_merge(self, merging: str) -> None:
        """There is no commit to wait for: refused when the receiver is connected."""
        options: Any = {merging: True}

        with pytest.raises(InvalidReceiverError) as caught:
            receiver_task(post_save, sender=Item, name="shop.a", **options)(handle_many)

        assert str(caught.value) == (
            "Receiver 'shop.a' merges events, and its backend enqueues within the transaction. "
            "Leave out batch= and coalesce=, or name a backend that waits for the commit."
        )
        assert receivers_of(post_save, Item) == []

    @pytest.mark.parametrize("merging", ["batch", "coalesce"])
    def test_merges_nothing_when_settings_change(self, merging: str, settings: Any) -> None:
        """A test may swap the backend of a receiver that is connected: refused with the event."""
        within = settings.SIGNALS_PLUS_BACKENDS
        settings.SIGNALS_PLUS_BACKENDS = {
            "default": {"BACKEND": "signals_plus.backends.dummy.DummyBackend"}
        }
        options: Any = {merging: True}
        receiver_task(post_save, sender=Item, name="shop.a", **options)(handle_many)
        settings.SIGNALS_PLUS_BACKENDS = within

        with (
            pytest.raises(InvalidReceiverError, match=r"'shop.a' merges events"),
            transaction.atomic(),
        ):
            Item.objects.create()

        assert (Item.objects.count(), Tag.objects.count()) == (0, 0)

    def test_refuses_to_wait_for_another_database(self) -> None:
        """It can never work: when the receiver is connected."""
        with pytest.raises(InvalidReceiverError) as caught:
            receiver_task(post_save, sender=Item, name="shop.a", using="other")(handle)

        assert str(caught.value) == (
            "Receiver 'shop.a' has using='other', and its backend enqueues within transactions on "
            "'default'. Leave it out, or name a backend that waits for the commit."
        )
        assert not post_save.has_listeners(Item)

    def test_takes_its_own_database(self) -> None:
        receiver_task(post_save, sender=Item, name="shop.a", using="default")(handle)

        Item.objects.create()

        assert Tag.objects.filter(name="shop.a").exists()

    def test_refuses_events_of_other_databases(self) -> None:
        """Inside their transaction, which is rolled back: its end is not that of the queue's."""
        receiver_task(post_save, sender=Item, name="shop.a")(handle)

        with pytest.raises(BackendError) as caught, transaction.atomic(using="other"):
            Item.objects.using("other").create()

        assert str(caught.value) == (
            "Backend 'default' enqueues within transactions on 'default', and task shop.a waits "
            "for one on 'other'. Name a backend that enqueues after the commit"
        )
        assert Item.objects.using("other").count() == 0
        assert Tag.objects.count() == 0


handled: list[Any] = []


def handle(sender: Any, instance: Item, **kwargs: Any) -> None:
    handled.append(instance)


def handle_many(sender: Any, events: Any = None, **kwargs: Any) -> None: ...
