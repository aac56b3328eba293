"""What Django's own signals send, as it arrives in a worker."""

from __future__ import annotations

import io
import uuid
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

from signals_plus import payloads, receiver_task
from signals_plus.exceptions import PayloadError
from signals_plus.testing import capture_tasks
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


class Shade(models.TextChoices):
    DARK = "dark"


arrived: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def _nothing_has_arrived() -> None:
    arrived.clear()


def connect(*signals: Signal) -> None:
    """Let a task receive from now on what these send."""

    def receive(**kwargs: Any) -> None:
        arrived.append(kwargs)

    receiver_task([*signals], on_missing="raise", name="shop.receive")(receive)


class TestPostSave:
    def test_arrives_whole(self, tasks: capture_tasks) -> None:
        """All of its arguments, the fields as the frozenset they are."""
        connect(post_save)
        item = Item.objects.create(name="a")
        item.save(update_fields=["name", "score"])

        tasks.run()

        created, updated = arrived
        assert created == {
            "signal": post_save, "sender": Item, "instance": item, "created": True, "raw": False,
            "using": "default", "update_fields": None,
        }  # fmt: skip
        assert updated["update_fields"] == frozenset({"name", "score"})
        assert type(updated["update_fields"]) is frozenset


class TestModelsThatNoWorkerHas:
    def test_are_refused_when_the_signal_is_sent(self) -> None:
        """As sender and as row: Django's recorder of migrations is of no app."""
        model = MigrationRecorder.Migration
        row = model.from_db("default", ["id"], [5])

        for kwargs in ({"sender": model, "kwargs": {}}, {"sender": None, "kwargs": {"row": row}}):
            with pytest.raises(PayloadError, match=r"'migrations.Migration', which no worker has"):
                payloads.encode_event("r", signal="0", **kwargs)


class TestM2mChanged:
    def test_arrives_whole(self, tasks: capture_tasks) -> None:
        """With the keys of then: Django's set changes between the signals."""
        item = Item.objects.create(name="a")
        tags = [Tag.objects.create(name=name) for name in "ab"]
        connect(m2m_changed)

        item.tags.add(*tags)
        tags[0].item_set.remove(item)
        item.tags.clear()
        tasks.run()

        assert {event["sender"] for event in arrived} == {Item.tags.through}
        assert [
            (event["action"], event["reverse"], event["model"], event["pk_set"])
            for event in arrived
        ] == [
            ("pre_add", False, Tag, {tag.pk for tag in tags}),
            ("post_add", False, Tag, {tag.pk for tag in tags}),
            ("pre_remove", True, Item, {item.pk}),
            ("post_remove", True, Item, {item.pk}),
            ("pre_clear", False, Tag, None),
            ("post_clear", False, Tag, None),
        ]  # fmt: skip
        assert arrived[0]["instance"] == item
        assert arrived[2]["instance"] == tags[0]


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
    def test_arrive_as_the_row_was(self, signal: Signal, alias: str, tasks: capture_tasks) -> None:
        """Each field as it was, whatever its type, and without a query."""
        row = row_of_every_kind()
        row.save(using=alias)
        row.tag = Tag.objects.using(alias).create(name="a")
        row.save()
        sent = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
        connect(signal)

        row.delete()
        with CaptureQueriesContext(connections[alias]) as queries:
            tasks.run()
            (event,) = arrived
            back = event["instance"]
            values = {
                field.attname: getattr(back, field.attname) for field in back._meta.concrete_fields
            }

        assert row.pk is None
        assert values == sent
        assert {name: type(value) for name, value in values.items()} == {
            name: type(value) for name, value in sent.items()
        }
        assert (back._state.adding, back._state.db, len(queries)) == (False, alias, 0)
        assert (event["signal"], event["using"]) == (signal, alias)

    def test_of_a_row_that_was_read_back(self, tasks: capture_tasks) -> None:
        """As the database gives its values, a memoryview for bytes on PostgreSQL."""
        row_of_every_kind().save()
        row = ItemOfEveryKind.objects.get()
        connect(post_delete)
        data = bytes(row.data)

        row.delete()
        tasks.run()

        (back,) = (event["instance"] for event in arrived)

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
    def test_of_every_kind_of_model(self, make: Any, tasks: capture_tasks) -> None:
        """A child by inheritance has all its columns, a composite key all its parts."""
        row = make()
        row.save()
        pk = row.pk
        connect(pre_delete, post_delete)

        row.delete()
        tasks.run()

        (back,) = {event["instance"] for event in arrived if event["sender"] is type(row)}

        assert (type(back), back.pk) == (type(row), pk)
        assert not back.get_deferred_fields()

    def test_leave_deferred_fields_deferred(self, tasks: capture_tasks) -> None:
        """Reading them would be a query inside delete()."""
        UuidItem.objects.create(name="a")
        row = UuidItem.objects.only("id").get()
        connect(post_delete)

        with CaptureQueriesContext(connections["default"]) as queries:
            row.delete()
        tasks.run()

        (back,) = (event["instance"] for event in arrived)

        assert not [query for query in queries if query["sql"].startswith("SELECT")]
        assert back.get_deferred_fields() == {"name"}

    @pytest.mark.parametrize("whole", [True, False])
    def test_say_on_which_model_delete_was_called(self, whole: bool, tasks: capture_tasks) -> None:
        """origin is the model, for a row and for a queryset, of cascades too."""
        parent = Item.objects.create(name="a")
        Item.objects.create(name="b", parent=parent)
        connect(pre_delete, post_delete)

        ItemProxy.objects.get(pk=parent.pk).delete() if whole else ItemProxy.objects.all().delete()
        tasks.run()

        assert {event["origin"] for event in arrived} == {ItemProxy}
        assert {event["instance"].name for event in arrived} == {"a", "b"}

    def test_of_a_file_leave_it_alone(self, tasks: capture_tasks) -> None:
        """It travels by name."""
        row = Item(name="a")
        row.file.name = "somewhere/a.txt"
        row.save()
        connect(post_delete)

        row.delete()
        tasks.run()

        (back,) = (event["instance"] for event in arrived)

        assert back.file.name == "somewhere/a.txt"
        assert back.file.storage is row.file.storage

    def test_of_a_choice_and_of_a_new_file(self, tasks: capture_tasks) -> None:
        """As the database would have them."""
        row = Item.objects.create(name="a")
        row.name = Shade.DARK
        row.file = ContentFile(b"", name="new.txt")
        connect(post_delete)

        row.delete()
        tasks.run()

        (back,) = (event["instance"] for event in arrived)

        assert (back.name, back.file.name) == ("dark", "new.txt")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("data", {"a": object()}), ("score", models.F("score") + 1), ("score", object())],
    )
    def test_name_the_field_that_cannot_travel(
        self, name: str, value: Any, tasks: capture_tasks
    ) -> None:
        """And the delete fails, while it still can."""
        row = Item.objects.create(name="a")
        setattr(row, name, value)
        connect(pre_delete, post_delete)

        with pytest.raises(PayloadError) as raised:
            row.delete()

        assert raised.value.argument.startswith(f"instance.{name}")
        assert Item.objects.exists()

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
    def test_arrive_whole(self, tasks: capture_tasks) -> None:
        """The app, the plan by name and the worker's own apps; no stream."""
        connect(pre_migrate, post_migrate)
        call_command("migrate", "contenttypes", "0001", verbosity=0, stdout=io.StringIO())
        call_command("migrate", "contenttypes", verbosity=0, stdout=io.StringIO())

        tasks.run()

        events = [event for event in arrived if event["app_config"].label == "testapp"]
        assert [event["signal"] for event in events] == [pre_migrate, post_migrate] * 2
        forwards = events[2]
        assert forwards["sender"] is forwards["app_config"] is apps.get_app_config("testapp")
        assert forwards["plan"] == [("contenttypes", "0002_remove_content_type_name", False)]
        assert events[0]["plan"][-1][2] is True
        assert forwards["apps"] is apps
        assert forwards.get("stdout") is None
        assert (forwards["using"], forwards["verbosity"]) == ("default", 0)
