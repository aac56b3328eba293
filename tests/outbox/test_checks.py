"""E003 to E007, W014 to W016 and I001: what system checks say of durable receivers."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import CheckMessage, Tags, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, connections
from django.db.models.signals import post_save
from django.dispatch import Signal
from django_q.conf import Conf

from signals_plus import receiver_task
from signals_plus.backends.handler import backends
from signals_plus.outbox import checks
from tests.backends.conftest import MakeApp
from tests.queues import RecordingBackend
from tests.testapp.models import Item, Tag


def handle(sender: Any, **kwargs: Any) -> None:
    """Be a receiver."""


def durable(sender: Any = Item, *, signal: Signal = post_save, **options: Any) -> None:
    options = {"durable": True, "name": "shop.book", **options}
    receiver_task(signal, sender=sender, **options)(handle)


def ids(found: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in found]


class Routes:
    """A router that keeps the outbox, and the items, on databases of their own."""

    outbox = "default"
    items: str | None = None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == self.outbox if app_label == "signals_plus_outbox" else None

    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        return self.items if model._meta.label == "testapp.Item" else None


class ItemsOnOther(Routes):
    items = "other"


class AllOnOther(ItemsOnOther):
    outbox = "other"


@pytest.fixture
def route(settings: Any) -> Any:
    def use(kind: type) -> None:
        settings.DATABASE_ROUTERS = [f"{__name__}.{kind.__name__}"]

    return use


@pytest.mark.usefixtures("queue")
class TestE003:
    @pytest.mark.parametrize("sender", [Item, "testapp.Item", [Tag, Item]])
    @pytest.mark.parametrize("mode", ["effect", "publish"])
    def test_rows_are_where_no_outbox_is(self, sender: Any, mode: str, route: Any) -> None:
        durable(sender, durable=mode)
        route(ItemsOnOther)

        (error,) = run_checks(tags=["signals_plus"])

        assert error.id == "signals_plus.E003"
        assert f"'shop.book' has durable='{mode}', and the database 'other'" in error.msg
        assert "migrate signals_plus_outbox --database other" in str(error.hint)

    def test_named_database_has_no_outbox(self, route: Any) -> None:
        """Without a model there is only what using= says."""
        durable("anything", signal=Signal(), using="other")
        route(Routes)

        assert ids(checks.check_aliases(None)) == ["signals_plus.E003"]

    def test_is_silent_where_the_outbox_is(self, route: Any) -> None:
        """Nor for a sender that is no model, or every sender: where they write, nobody knows."""
        durable()
        durable(None, name="shop.all")
        durable("anything", signal=Signal(), name="shop.any")
        assert checks.check_aliases(None) == []

        route(AllOnOther)
        assert checks.check_aliases(None) == []

    def test_is_silent_for_tasks_that_are_not_durable(self, route: Any) -> None:
        durable(durable=False)
        route(ItemsOnOther)

        assert checks.check_aliases(None) == []

    def test_leaves_a_model_that_is_none_to_django(self) -> None:
        durable("testapp.Itm")

        assert checks.check_aliases(None) == []


@pytest.mark.usefixtures("queue")
class TestE004:
    @pytest.mark.parametrize("mode", ["effect", "publish"])
    def test_message_is_committed_elsewhere(self, mode: str) -> None:
        durable(durable=mode, using="other")

        (error,) = checks.check_aliases(None)

        assert error.id == "signals_plus.E004"
        assert "using='other', but testapp.Item is written to 'default'" in error.msg

    @pytest.mark.django_db(databases=["default", "other"])
    def test_keeps_the_relay_from_starting(self) -> None:
        """Where it is noticed: a web server runs no checks."""
        durable(using="other")

        with pytest.raises(SystemCheckError, match=r"signals_plus\.E004"):
            call_command("relay_outbox", "--once", skip_checks=False)

    def test_is_silent_where_it_is_the_same(self, route: Any) -> None:
        durable(using="other")
        route(AllOnOther)

        assert checks.check_aliases(None) == []


@pytest.mark.usefixtures("queue")
class TestE005:
    def test_database_that_the_outbox_does_not_speak_with(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        durable()
        monkeypatch.setattr(connections["default"], "vendor", "oracle")

        (error,) = checks.check_aliases(None)

        assert error.id == "signals_plus.E005"
        assert "written to 'default': the outbox has no dialect for oracle" in error.msg

    def test_sqlite_that_cannot_return_what_it_changed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Django 5.2 still takes one."""
        durable()
        monkeypatch.setattr(connections["default"], "vendor", "sqlite")
        features = SimpleNamespace(can_return_columns_from_insert=False)
        monkeypatch.setattr(connections["default"], "features", features)

        (error,) = checks.check_aliases(None)

        assert error.id == "signals_plus.E005"
        assert "SQLite from 3.35 on" in str(error.hint)


@pytest.mark.usefixtures("queue")
def test_e007_database_that_commits_nothing_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    durable()
    monkeypatch.setitem(connections["default"].settings_dict, "AUTOCOMMIT", False)

    (error,) = checks.check_aliases(None)

    assert error.id == "signals_plus.E007"
    assert "'default' has an outbox and \"AUTOCOMMIT\": False" in error.msg


@pytest.mark.usefixtures("queue")
@pytest.mark.django_db(databases=["default", "other"])
class TestServers:
    def check(self, *aliases: str) -> list[CheckMessage]:
        return run_checks(tags=[Tags.database], databases=[*aliases])

    def test_has_nothing_to_say_of_the_database_of_the_tests(self) -> None:
        """Which is a real server, in CI of each kind."""
        durable()

        assert ids(checks.check_servers(None, databases=["default", "other"])) == []

    def test_w014_warns_of_a_server_that_cannot_skip(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A MariaDB 10.5, which Django 5.2 still takes."""
        durable()
        monkeypatch.setattr(connections["other"], "vendor", "mysql")
        monkeypatch.setattr(connections["other"].features, "supports_transactions", True)
        monkeypatch.setattr(
            connections["other"].features, "has_select_for_update_skip_locked", False
        )

        (warning,) = checks.check_servers(None, databases=["default", "other"])

        assert warning.id == "signals_plus.W014"
        assert "'other'" in warning.msg
        assert checks.check_servers(None, databases=["default"]) == []
        assert checks.check_servers(None, databases=None) == []

    def test_is_silent_where_nothing_is_durable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        durable(durable=False)
        monkeypatch.setattr(connections["default"], "vendor", "mysql")
        monkeypatch.setattr(connections["default"].features, "supports_transactions", False)

        assert checks.check_servers(None, databases=["default"]) == []

    def test_is_silent_where_no_outbox_may_be(
        self, monkeypatch: pytest.MonkeyPatch, route: Any
    ) -> None:
        durable()
        route(Routes)
        monkeypatch.setattr(connections["other"], "vendor", "mysql")
        monkeypatch.setattr(connections["other"].features, "supports_transactions", False)

        assert checks.check_servers(None, databases=["other"]) == []


@pytest.mark.usefixtures("queue")
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
class TestE006:
    __test__ = connection.vendor == "mysql"

    @pytest.fixture
    def _without_transactions(self) -> Iterator[None]:
        """Let another connection be the default one, to a server with another default."""
        before = connections["default"]
        other = before.copy()
        other.settings_dict["OPTIONS"] = {
            **other.settings_dict["OPTIONS"],
            "init_command": "SET default_storage_engine=MyISAM",
        }
        connections["default"] = other
        yield
        other.close()
        connections["default"] = before

    @pytest.mark.usefixtures("_without_transactions")
    def test_tables_without_transactions(self) -> None:
        durable()

        assert "signals_plus.E006" in ids(
            run_checks(tags=[Tags.database], databases=["default", "other"])
        )


class TestW015:
    @pytest.mark.parametrize("options", [{}, {"confirm_publish": True}])
    def test_is_silent_where_rabbitmq_confirms(
        self,
        options: dict[str, Any],
        make_app: MakeApp,
    ) -> None:
        """As the backend asks it to, where the project says nothing."""
        make_app("amqp://localhost", broker_transport_options=options)
        durable(durable="publish")

        assert checks.check_queues(None) == []

    def test_warns_where_it_does_not(self, make_app: MakeApp, settings: Any) -> None:
        make_app("amqp://localhost", broker_transport_options={"confirm_publish": False})
        durable(durable="publish")
        durable(Tag, name="shop.effect")

        (warning,) = run_checks(tags=["signals_plus"])

        assert warning.id == "signals_plus.W015"
        assert warning.msg.startswith('shop.book: with durable="publish"')
        settings.DEBUG = True
        assert checks.check_queues(None) == []

    def test_is_silent_for_effect(self, make_app: MakeApp) -> None:
        """The message is there until the work is done, whatever the broker forgets."""
        make_app("amqp://localhost", broker_transport_options={"confirm_publish": False})
        durable()

        assert checks.check_queues(None) == []

    def test_leaves_other_brokers_alone(self, make_app: MakeApp) -> None:
        durable(durable="publish")
        for broker in ("filesystem://", "nosuch://"):
            make_app(broker)

            assert checks.check_queues(None) == []


class TestI001:
    @pytest.fixture(autouse=True)
    def _production(self, settings: Any) -> None:
        settings.DEBUG = False

    def test_celery_on_redis(self, make_app: MakeApp, settings: Any) -> None:
        make_app("redis://localhost", broker_transport_options={"socket_timeout": 5})
        durable(durable="publish")
        durable(durable="publish", name="shop.a", sender=Tag)

        (note,) = run_checks(tags=["signals_plus"])

        assert note.id == "signals_plus.I001"
        assert not note.is_serious()
        assert note.msg.startswith("shop.a, shop.book: ")
        assert "\n" not in note.msg
        settings.DEBUG = True
        assert checks.check_queues(None) == []

    def test_rq(self, settings: Any) -> None:
        settings.RQ_QUEUES = {"default": {"SERIALIZER": "rq.serializers.JSONSerializer"}}
        settings.SIGNALS_PLUS_BACKENDS = {
            "default": {"BACKEND": "signals_plus.backends.rq.RQBackend"}
        }
        durable(durable="publish")

        assert ids(checks.check_queues(None)) == ["signals_plus.I001"]

    @pytest.mark.parametrize(("orm", "found"), [(None, ["signals_plus.I001"]), ("default", [])])
    def test_django_q(
        self, orm: str | None, found: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Conf, "ORM", orm)
        settings.SIGNALS_PLUS_BACKENDS = {
            "default": {"BACKEND": "signals_plus.backends.django_q.DjangoQBackend"}
        }
        durable(durable="publish")

        assert ids(checks.check_queues(None)) == found

    def test_is_silent_for_effect(self, make_app: MakeApp) -> None:
        make_app("redis://localhost")
        durable()

        assert checks.check_queues(None) == []


class TestW016:
    @pytest.mark.parametrize(
        ("timeout", "grace", "found"),
        [(1, 30, []), (2, 2.1, []), (2, 2, ["signals_plus.W016"]), (40, 30, ["signals_plus.W016"])],
    )
    def test_publishing_may_take_longer_than_the_grace(
        self,
        timeout: float,
        grace: float,
        found: list[str],
        make_app: MakeApp,
        settings: Any,
    ) -> None:
        make_app("amqp://localhost")
        settings.SIGNALS_PLUS_OUTBOX_GRACE = grace
        settings.SIGNALS_PLUS_BACKENDS = {
            "default": {
                "BACKEND": "signals_plus.backends.celery.CeleryBackend",
                "OPTIONS": {"publish_timeout": timeout},
            }
        }
        durable()

        assert ids(checks.check_queues(None)) == found

    def test_leaves_a_setting_that_cannot_be_read_to_its_check(
        self, queue: RecordingBackend, settings: Any
    ) -> None:
        durable()
        settings.SIGNALS_PLUS_OUTBOX_GRACE = 0

        assert ids(run_checks(tags=["signals_plus"])) == ["signals_plus.E002"]

    def test_leaves_a_queue_alone_that_names_no_limit(
        self, queue: RecordingBackend, settings: Any
    ) -> None:
        settings.SIGNALS_PLUS_OUTBOX_GRACE = 0.1
        durable()

        assert backends["default"].publish_timeout == 0
        assert checks.check_queues(None) == []
