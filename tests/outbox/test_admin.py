"""The outbox in Django's admin: who may see what, and what the actions do."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection, connections
from django.db.models import F
from django.db.models.signals import post_save
from django.test import Client
from django.test.utils import CaptureQueriesContext

from signals_plus import receiver_task
from signals_plus.outbox import admin, admin_actions
from signals_plus.outbox.models import Message
from tests.outbox.conftest import Outbox
from tests.outbox.test_commands import NAME, dead, handle, write
from tests.services import in_threads
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(databases=["default", "other"])

LIST = "/admin/signals_plus_outbox/message/"
SCRIPT = "<script>alert(1)</script>"
ALL = ("view_message", "requeue_message", "discard_message", "view_payload")


@pytest.fixture(autouse=True)
def _receiver(outbox: Outbox) -> None:
    receiver_task(post_save, sender=Item, durable=True)(handle)


def client(*permissions: str, name: str = "ann", **fields: Any) -> Client:
    """Log somebody in who may do this."""
    user = User.objects.create_user(name, is_staff=True, **fields)
    user.user_permissions.set(
        Permission.objects.filter(
            content_type__app_label="signals_plus_outbox", codename__in=permissions
        )
    )
    assert user.user_permissions.count() == len(permissions)
    browser = Client()
    browser.force_login(user)
    return browser


def text(response: Any) -> str:
    assert response.status_code == 200, response
    return str(response.content.decode())


def page_of(message: Message) -> str:
    return f"{LIST}{message.message_id}/change/"


def listed(browser: Client, query: str = "") -> set[Any]:
    """Return the ids of the messages in the list."""
    found = re.findall(r"message/([0-9a-f-]{36})/change/", text(browser.get(LIST + query)))
    return set(found)


def ids(*messages: Message) -> set[str]:
    return {str(message.message_id) for message in messages}


def choose(
    browser: Client, action: str, messages: Iterable[Message], query: str = "", **data: Any
) -> Any:
    """Press the button below the list."""
    keys = [str(message.pk) for message in messages]
    return browser.post(LIST + query, {"action": action, "_selected_action": keys, **data})


def confirm(browser: Client, page: Any, query: str = "") -> Any:
    """Press the button of a page that asks."""
    data: dict[str, list[str]] = {}
    for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text(page)):
        data.setdefault(name, []).append(html.unescape(value))
    return browser.post(LIST + query, data, follow=True)


def said(page: Any) -> list[str]:
    return [str(message) for message in page.context["messages"]]


class TestPermissions:
    def test_nobody_without_one(self) -> None:
        message = write()
        browser = client()

        assert browser.get(LIST).status_code == 403
        assert browser.get(page_of(message)).status_code == 403
        assert choose(browser, "requeue", [message]).status_code == 403

    @pytest.mark.parametrize("name", ["requeue", "discard"])
    def test_each_action_has_one(self, name: str) -> None:
        """Who has not got it is not offered the action, and cannot do it."""
        message = dead()
        other = "discard" if name == "requeue" else "requeue"
        browser = client("view_message", f"{other}_message")

        assert f'value="{name}"' not in text(browser.get(LIST))
        assert f'value="{other}"' in text(browser.get(LIST))
        choose(browser, name, [message], confirmed="yes")

        assert Message.objects.get() == message
        assert Message.objects.get().status == Message.Status.DEAD
        assert LogEntry.objects.count() == 0

    def test_payload_has_one(self) -> None:
        """Its text is not even asked for otherwise, neither in a filter."""
        message = write(payload='{"secret": 7}')
        sees, does_not = client(*ALL), client(*ALL[:3], name="bob")

        assert "&quot;secret&quot;: 7" in text(sees.get(page_of(message)))
        with CaptureQueriesContext(connection) as queries:
            assert "secret" not in text(does_not.get(page_of(message)))
            assert "secret" not in text(does_not.get(LIST))
        assert not [
            each
            for each in queries
            if "payload" in each["sql"].split("FROM")[0]
            and "signals_plus_outbox_message" in each["sql"]
        ]
        for browser in (does_not, sees):
            assert browser.get(f"{LIST}?payload__startswith=x").status_code == 400
            assert browser.get(f"{LIST}?last_error__startswith=x").status_code == 400

    def test_is_registered_with_the_site_of_django(self) -> None:
        """The tests have one of their own."""
        assert type(site.get_model_admin(Message)) is admin.MessageAdmin

    def test_nobody_changes_a_row(self) -> None:
        """Not even who may do everything."""
        message = dead()
        browser = client(is_superuser=True)

        assert browser.get(f"{LIST}add/").status_code == 403
        assert browser.post(page_of(message), {"attempts": 0}).status_code == 403
        assert browser.post(f"{LIST}{message.message_id}/delete/").status_code == 403
        assert 'value="delete_selected"' not in text(browser.get(LIST))
        page = text(browser.get(page_of(message)))
        assert "payload" in page.lower()
        assert 'name="_save"' not in page
        assert Message.objects.get().attempts == 12

    def test_of_who_may_do_everything(self) -> None:
        message = dead()
        browser = client(is_superuser=True)

        confirm(browser, choose(browser, "requeue", [message]))

        assert Message.objects.get().status == Message.Status.PENDING


class TestList:
    def test_escapes_what_others_wrote(self) -> None:
        """In the list, on the page of a message and on the page that asks."""
        message = dead(receiver=SCRIPT, last_error=SCRIPT, payload=SCRIPT, ordering_key=SCRIPT)
        message = dead(receiver=SCRIPT, last_error=SCRIPT, payload=f'["{SCRIPT}"]', trace=SCRIPT)
        browser = client(*ALL)

        pages = [browser.get(LIST), choose(browser, "discard", [message])]
        pages += [browser.get(page_of(each)) for each in Message.objects.all()]

        for page in pages:
            assert SCRIPT not in text(page)
            assert html.escape(SCRIPT) in text(page)

    def test_of_a_state(self) -> None:
        pending, failing, given_up = write(), write(attempts=2), dead()
        browser = client("view_message")

        assert listed(browser, "?state=pending") == ids(pending)
        assert listed(browser, "?state=failing") == ids(failing)
        assert listed(browser, "?state=dead") == ids(given_up)
        assert listed(browser) == ids(pending, failing, given_up)

    def test_of_an_age(self) -> None:
        """By the database's clock."""
        now = write()
        hour = write(created_at=F("created_at") - timedelta(hours=1, seconds=5))
        browser = client("view_message")

        assert listed(browser, "?age=3600") == ids(hour)
        assert listed(browser, "?age=86400") == set()
        assert listed(browser) == ids(now, hour)

    def test_of_a_receiver(self) -> None:
        """Offered are those that there are, without a query; unknown ones together."""
        known, unknown = write(), write(receiver="gone")
        browser = client("view_message")

        page = text(browser.get(LIST))
        assert f"?receiver={NAME}" in page
        assert "?receiver=gone" not in page
        assert listed(browser, f"?receiver={NAME}") == ids(known)
        assert listed(browser, "?receiver=+unknown") == ids(unknown)

    @pytest.mark.parametrize("query", ["state=7", "age=7", "receiver=7", "database=7"])
    def test_refuses_what_is_not_offered(self, query: str) -> None:
        response = client("view_message").get(f"{LIST}?{query}")

        assert response.status_code == 302
        assert response["Location"].endswith("?e=1")

    def test_finds_a_message_by_its_id(self) -> None:
        one, _ = write(), write()
        browser = client("view_message")

        assert listed(browser, f"?q={one.message_id}") == ids(one)
        assert listed(browser, f"?q={uuid4()}") == set()
        assert listed(browser, "?q=7") == set()
        assert len(listed(browser, "?q=+")) == 2

    def test_says_what_is_becoming_of_each(self) -> None:
        write(attempts=1, claimed_by="run:1")
        browser = client("view_message")

        page = text(browser.get(LIST))

        assert '<td class="field-state">running</td>' in page

    def test_of_several_databases(self) -> None:
        """One at a time, the default one first; a message is found wherever it is."""
        here, there = write(), write("other")
        browser = client("view_message")

        assert listed(browser) == listed(browser, "?database=default") == ids(here)
        assert listed(browser, "?database=other") == ids(there)
        assert text(browser.get(page_of(there))).count("other") >= 1
        assert browser.get(f"{LIST}{uuid4()}/change/").status_code == 302
        assert browser.get(f"{LIST}7/change/").status_code == 302

    def test_of_the_one_that_has_the_outbox(self, settings: Any) -> None:
        settings.DATABASE_ROUTERS = [f"{__name__}.OtherDatabase"]
        here, there = write(), write("other")
        browser = client("view_message")

        page = text(browser.get(LIST))

        assert str(there.message_id) in page
        assert str(here.message_id) not in page
        assert "?database=" not in page

    def test_counts_no_more_than_it_shows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admin, "MOST", 3)
        messages = [write() for _ in range(5)]
        browser = client("view_message")

        with CaptureQueriesContext(connection) as queries:
            page = browser.get(LIST)

        counting = [each["sql"] for each in queries if "COUNT" in each["sql"]]
        assert len(counting) == 1
        assert "LIMIT 3" in counting[0]
        assert "The newest 3." in text(page)
        assert {str(each.message_id) for each in messages[2:]} <= listed(browser)


class OtherDatabase:
    """A router that keeps the outbox on the other database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == "other" if app_label == "signals_plus_outbox" else None


class TestRequeue:
    def test_asks_and_does_it_and_writes_it_down(self, outbox: Outbox) -> None:
        message, failing, fresh = dead(), write(attempts=3), write()
        browser = client("view_message", "requeue_message")

        question = choose(browser, "requeue", [message, failing, fresh])
        assert "This concerns 2 messages in the database default." in text(question)
        chosen, left_alone = text(question).split("Left alone: these have not failed")
        assert str(fresh.message_id) in left_alone
        assert str(message.message_id) in chosen
        assert Message.objects.get(pk=message.pk).status == Message.Status.DEAD
        page = confirm(browser, question)

        message.refresh_from_db()
        assert (message.status, message.attempts) == (Message.Status.PENDING, 0)
        assert said(page) == ["2 messages were requeued."]
        assert outbox.relay.run_once() == 2 + 1
        entries = {each.object_id: each for each in LogEntry.objects.all()}
        assert entries.keys() == ids(message, failing)
        entry = entries[str(message.message_id)]
        assert (entry.action_flag, entry.user.username) == (CHANGE, "ann")
        assert entry.get_change_message() == (
            "Requeued. It was dead after 12 attempts, in default."
        )
        history = text(browser.get(f"{LIST}{message.message_id}/history/"))
        assert "Requeued. It was dead after 12 attempts" in history

    def test_by_two_at_once(self) -> None:
        """Both were asked; one message was also done meanwhile."""
        message, done = dead(), dead()
        ann, bob = (client(*ALL[:2], name=name) for name in ("ann", "bob"))
        questions = [choose(each, "requeue", [message, done]) for each in (ann, bob)]
        done.delete()

        assert said(confirm(ann, questions[0])) == [
            "1 message was requeued.",
            "1 was left alone: somebody else has dealt with it, or is at it.",
        ]
        assert said(confirm(bob, questions[1])) == [
            "2 were left alone: somebody else has dealt with them, or is at them."
        ]

        assert LogEntry.objects.get().user.username == "ann"

    def test_keeps_the_filters(self) -> None:
        """After the act, and for who goes back."""
        message = dead()
        browser = client("view_message", "requeue_message")
        query = "?state=dead&age=60"
        Message.objects.update(created_at=F("created_at") - timedelta(hours=1))

        question = choose(browser, "requeue", [message], query)
        page = confirm(browser, question, query)

        assert f'href="{LIST}?state=dead&amp;age=60"' in text(question)
        assert page.redirect_chain == [(f"{LIST}{query}", 302)]
        assert said(page) == ["1 message was requeued."]

    def test_in_another_database(self) -> None:
        """Rows of the same number are not mixed up; the history is by message id."""
        here, there = dead(), dead("other")
        Message.objects.using("other").update(id=here.pk)
        browser = client("view_message", "requeue_message")
        question = choose(browser, "requeue", [here], "?database=other")

        page = confirm(browser, question, "?database=other")

        assert "This concerns 1 message in the database other." in text(question)
        assert said(page) == ["1 message was requeued."]
        assert Message.objects.get().status == Message.Status.DEAD
        assert Message.objects.using("other").get().status == Message.Status.PENDING
        assert LogEntry.objects.get().object_id == str(there.message_id)

    def test_does_nothing_that_it_cannot_write_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An act without a log entry would be worse than no act."""
        message = dead()
        browser = client("view_message", "requeue_message")
        question = choose(browser, "requeue", [message])

        def fail(*args: Any) -> None:
            raise OSError("no log")

        monkeypatch.setattr(admin_actions, "_log", fail)
        with pytest.raises(OSError, match="no log"):
            confirm(browser, question)

        assert Message.objects.get().status == Message.Status.DEAD

    def test_of_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A form has a thousand fields at most, and a statement locks what it is about."""
        monkeypatch.setattr(admin_actions, "LIMIT", 2)
        messages = [dead() for _ in range(3)]
        browser = client("view_message", "requeue_message")

        for data in ({}, {"confirmed": "yes"}):
            page = choose(browser, "requeue", messages, select_across="1", follow=True, **data)
            assert page.status_code == 302

        assert said(browser.get(LIST))[0].startswith("That is more than 2 messages.")
        assert Message.objects.filter(status=Message.Status.DEAD).count() == 3

    def test_of_what_is_gone(self) -> None:
        message = dead()
        browser = client("view_message", "requeue_message")
        message.delete()
        message.pk = 7

        choose(browser, "requeue", [message])

        assert said(browser.get(LIST)) == [
            "Nothing was done: the messages are gone. They are done, or somebody was faster."
        ]


class TestDiscard:
    def test_asks_and_does_it_and_writes_it_down(self) -> None:
        message, running = (
            dead(),
            write(attempts=1, claimed_by="run:1", due_at=F("due_at") + timedelta(hours=1)),
        )
        browser = client("view_message", "discard_message")

        question = choose(browser, "discard", [message, running])
        page = confirm(browser, question)

        assert "This cannot be undone." in text(question)
        assert str(running.message_id) in text(question).split("Left alone: a worker is at")[1]
        assert Message.objects.get() == running
        assert said(page)[0] == "1 message was discarded."
        entry = LogEntry.objects.get()
        assert (entry.object_id, entry.action_flag) == (str(message.message_id), DELETION)
        assert "dead after 12 attempts" in entry.change_message

    def test_offers_nothing_where_nothing_can_be_done(self) -> None:
        running = write(attempts=1, claimed_by="run:1", due_at=F("due_at") + timedelta(hours=1))
        browser = client("view_message", "discard_message")

        question = text(choose(browser, "discard", [running]))

        assert "This concerns 0 messages" in question
        assert 'type="submit" value="Yes' not in question


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_both_actions_at_the_very_same_time() -> None:
    """Each message is dealt with once, by whoever came first, and written down once."""
    messages = [dead() for _ in range(20)]
    names = ("ann", "bob", "carol", "dan")
    browsers = {name: client(*ALL[:3], name=name) for name in names}
    actions = dict(zip(names, ("requeue", "discard") * 2, strict=True))
    ready = threading.Barrier(len(names))
    done: dict[str, list[str]] = {}

    def act(name: str) -> None:
        try:
            ready.wait(10)
            page = choose(browsers[name], actions[name], messages, confirmed="yes", follow=True)
            assert page.status_code == 302
            done[name] = said(browsers[name].get(LIST))
        finally:
            connections.close_all()

    in_threads(act, *names)

    assert {*done} == {*names}
    requeued, discarded = (
        {each.object_id for each in LogEntry.objects.filter(action_flag=flag)}
        for flag in (CHANGE, DELETION)
    )
    left = Message.objects.all()
    assert LogEntry.objects.filter(action_flag=CHANGE).count() == len(requeued)
    assert LogEntry.objects.filter(action_flag=DELETION).count() == len(discarded)
    assert requeued | discarded == ids(*messages) - ids(*left.filter(status=Message.Status.DEAD))
    assert ids(*left) == ids(*messages) - discarded
    assert requeued | discarded
