"""What Django's own signals send, as it arrives in a worker."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connections, models
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import (
    m2m_changed,
    post_delete,
    post_migrate,
    post_save,
    pre_delete,
    pre_migrate,
)
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext

from signals_plus import builtin, payloads
from signals_plus.exceptions import PayloadError
from tests.payloads.travel import arrive
from tests.testapp.models import (
    CompositeItem,
    Item,
    ItemOfEveryKind,
    ItemProxy,
    Point,
    SpecialItem,
    Tag,
    UuidItem,
)

pytestmark = pytest.mark.django_db(databases=["default", "other"])

SIGNALS = (post_save, pre_delete, post_delete, m2m_changed, pre_migrate, post_migrate)


class Shade(models.TextChoices):
    DARK = "dark"


class Queue:
    """Writes what is sent, at once, and reads it when it is asked for."""

    def __init__(self) -> None:
        self.events: list[payloads.Fragment] = []

    def receive(self, signal: Signal, sender: Any, **kwargs: Any) -> None:
        self.events.append(
            payloads.encode_event("r", signal=builtin.NAMES[signal], sender=sender, kwargs=kwargs)
        )

    def work(self, on_missing: str = "raise") -> list[payloads.EventData]:
        return arrive_as("r", self.events, on_missing)


def arrive_as(
    receiver: str, events: list[payloads.Fragment], on_missing: str
) -> list[payloads.EventData]:
    message = payloads.decode(receiver, payloads.compose(receiver, events))
    return payloads.load(message, on_missing)


@pytest.fixture
def queue() -> Iterator[Queue]:
    queue = Queue()
    for signal in SIGNALS:
        signal.connect(queue.receive)
    yield queue
    for signal in SIGNALS:
        signal.disconnect(queue.receive)


class TestPostSave:
    def test_arrives_whole(self, queue: Queue) -> None:
        """All of its arguments, the fields as the frozenset they are."""
        item = Item.objects.create(name="a")
        item.save(update_fields=["name", "score"])

        created, updated = queue.work()

        assert created[:3] == (
            "post_save",
            Item,
            {
                "instance": item, "created": True, "raw": False, "using": "default",
                "update_fields": None,
            },
        )  # fmt: skip
        assert updated.kwargs["update_fields"] == frozenset({"name", "score"})
        assert type(updated.kwargs["update_fields"]) is frozenset


class TestModelsThatNoWorkerHas:
    def test_are_refused_when_the_signal_is_sent(self) -> None:
        """As sender and as row: Django's recorder of migrations is of no app."""
        model = MigrationRecorder.Migration
        row = model.from_db("default", ["id"], [5])

        for kwargs in ({"sender": model, "kwargs": {}}, {"sender": None, "kwargs": {"row": row}}):
            with pytest.raises(PayloadError, match=r"'migrations.Migration', which no worker has"):
                payloads.encode_event("r", signal="0", **kwargs)


class TestM2mChanged:
    def test_arrives_whole(self, queue: Queue) -> None:
        """With the keys of then: Django's set changes between the signals."""
        item = Item.objects.create(name="a")
        tags = [Tag.objects.create(name=name) for name in "ab"]
        queue.events.clear()

        item.tags.add(*tags)
        tags[0].item_set.remove(item)
        item.tags.clear()
        events = queue.work()

        assert {event.sender for event in events} == {Item.tags.through}
        assert [
            (event.kwargs["action"], event.kwargs["reverse"], event.kwargs["model"],
             event.kwargs["pk_set"])
            for event in events
        ] == [
            ("pre_add", False, Tag, {tag.pk for tag in tags}),
            ("post_add", False, Tag, {tag.pk for tag in tags}),
            ("pre_remove", True, Item, {item.pk}),
            ("post_remove", True, Item, {item.pk}),
            ("pre_clear", False, Tag, None),
            ("post_clear", False, Tag, None),
        ]  # fmt: skip
        assert events[0].kwargs["instance"] == item
        assert events[2].kwargs["instance"] == tags[0]


def row_of_every_kind() -> ItemOfEveryKind:
    return ItemOfEveryKind(
        amount=Decimal("1.500"),
        at=datetime(2026, 1, 1, 12, tzinfo=UTC),
        day=date(2026, 1, 1),
        clock=time(12, 30),
        lasted=timedelta(days=1, microseconds=5),
        token=uuid.UUID(int=5),
        data=b"\x00\xff",
        address="::1",
        point=Point(1, 2),  # type: ignore[misc]
        settings={"a": [1, None, {"$model": 1}]},
        file="a/b.txt",
    )


class TestDeletes:
    @pytest.mark.parametrize("signal", [pre_delete, post_delete])
    @pytest.mark.parametrize("alias", ["default", "other"])
    def test_arrive_as_the_row_was(self, signal: Signal, alias: str, queue: Queue) -> None:
        """Each field as it was, whatever its type, and without a query."""
        row = row_of_every_kind()
        row.save(using=alias)
        row.tag = Tag.objects.using(alias).create(name="a")
        row.save()
        sent = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
        queue.events.clear()

        row.delete()
        with CaptureQueriesContext(connections[alias]) as queries:
            events = [each for each in queue.work() if each.signal == builtin.NAMES[signal]]
            back = events[0].kwargs["instance"]
            values = {
                field.attname: getattr(back, field.attname) for field in back._meta.concrete_fields
            }

        assert row.pk is None
        assert values == sent
        assert {name: type(value) for name, value in values.items()} == {
            name: type(value) for name, value in sent.items()
        }
        assert (back._state.adding, back._state.db, len(queries)) == (False, alias, 0)
        assert events[0].kwargs["using"] == alias

    def test_of_a_row_that_was_read_back(self, queue: Queue) -> None:
        """As the database gives its values, a memoryview for bytes on PostgreSQL."""
        row_of_every_kind().save()
        row = ItemOfEveryKind.objects.get()
        queue.events.clear()
        data = bytes(row.data)

        row.delete()
        back = queue.work()[-1].kwargs["instance"]

        assert bytes(back.data) == data
        assert (back.point, back.settings) == (Point(1, 2), row.settings)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Item(name="a"),
            lambda: SpecialItem(name="a", extra="b"),
            lambda: ItemProxy(name="a"),
            lambda: CompositeItem(shop="a", number=5),
        ],
        ids=["plain", "mti", "proxy", "composite"],
    )
    def test_of_every_kind_of_model(self, make: Any, queue: Queue) -> None:
        """A child by inheritance has all its columns, a composite key all its parts."""
        row = make()
        row.save()
        pk = row.pk
        queue.events.clear()

        row.delete()
        (back,) = {event.kwargs["instance"] for event in queue.work() if event.sender is type(row)}

        assert (type(back), back.pk) == (type(row), pk)
        assert not back.get_deferred_fields()

    def test_leave_deferred_fields_deferred(self, queue: Queue) -> None:
        """Reading them would be a query inside delete()."""
        UuidItem.objects.create(name="a")
        row = UuidItem.objects.only("id").get()
        queue.events.clear()

        with CaptureQueriesContext(connections["default"]) as queries:
            row.delete()
        back = queue.work()[-1].kwargs["instance"]

        assert not [query for query in queries if query["sql"].startswith("SELECT")]
        assert back.get_deferred_fields() == {"name"}

    @pytest.mark.parametrize("whole", [True, False])
    def test_say_on_which_model_delete_was_called(self, whole: bool, queue: Queue) -> None:
        """origin is the model, for a row and for a queryset, of cascades too."""
        parent = Item.objects.create(name="a")
        Item.objects.create(name="b", parent=parent)
        ItemProxy.objects.get(pk=parent.pk).delete() if whole else ItemProxy.objects.all().delete()

        deleted = [event for event in queue.work(on_missing="none") if "delete" in event.signal]

        assert {event.kwargs["origin"] for event in deleted} == {ItemProxy}

    def test_of_a_file_leave_it_alone(self, queue: Queue) -> None:
        """It travels by name."""
        row = Item(name="a")
        row.file.name = "somewhere/a.txt"
        row.save()

        row.delete()
        back = queue.work(on_missing="none")[-1].kwargs["instance"]

        assert back.file.name == "somewhere/a.txt"
        assert back.file.storage is row.file.storage

    def test_of_a_choice_and_of_a_new_file(self, queue: Queue) -> None:
        """As the database would have them."""
        row = Item.objects.create(name="a")
        row.name = Shade.DARK
        row.file = ContentFile(b"", name="new.txt")

        row.delete()
        back = queue.work(on_missing="none")[-1].kwargs["instance"]

        assert (back.name, back.file.name) == ("dark", "new.txt")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("data", {"a": object()}), ("score", models.F("score") + 1), ("score", object())],
    )
    def test_name_the_field_that_cannot_travel(self, name: str, value: Any, queue: Queue) -> None:
        """And the delete fails, while it still can."""
        row = Item.objects.create(name="a")
        setattr(row, name, value)

        with pytest.raises(PayloadError) as raised:
            row.delete()

        assert raised.value.argument.startswith(f"instance.{name}")

    def test_read_what_a_release_with_other_fields_wrote(self) -> None:
        """A field that is gone is left out; one that is new is deferred."""
        event = (
            '["post_delete","testapp.Item",{"instance":{"$snapshot":["testapp.Item","default",'
            '{"id":5,"name":"a","gone":1}]}}]'
        )

        (loaded,) = arrive(event)

        assert (loaded.kwargs["instance"].pk, loaded.kwargs["instance"].name) == (5, "a")
        assert "score" in loaded.kwargs["instance"].get_deferred_fields()


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
class TestMigrateSignals:
    def test_arrive_whole(self, queue: Queue) -> None:
        """The app, the plan by name and the worker's own apps; no stream."""
        post_save.disconnect(queue.receive)  # the recorder of migrations saves rows, too
        pre_delete.disconnect(queue.receive)
        post_delete.disconnect(queue.receive)
        call_command("migrate", "contenttypes", "0001", verbosity=0, stdout=io.StringIO())
        call_command("migrate", "contenttypes", verbosity=0, stdout=io.StringIO())

        events = [event for event in queue.work() if event.kwargs["app_config"].label == "testapp"]

        assert [event.signal for event in events] == ["pre_migrate", "post_migrate"] * 2
        forwards = events[2].kwargs
        assert events[2].sender is forwards["app_config"] is apps.get_app_config("testapp")
        assert forwards["plan"] == [("contenttypes", "0002_remove_content_type_name", False)]
        assert events[0].kwargs["plan"][-1][2] is True
        assert forwards["apps"] is apps
        assert forwards.get("stdout") is None
        assert (forwards["using"], forwards["verbosity"]) == ("default", 0)
