"""What a failing assertion says where much has happened: both ends, and what it is about."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save

from signals_plus import receiver_task
from signals_plus.testing import capture_signals, capture_tasks
from signals_plus.testing.names import cut
from tests.testapp.models import Tag
from tests.testing.test_capture_signals import failure

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def handle(**kwargs: Any) -> None: ...


@pytest.fixture
def connected() -> None:
    receiver_task(post_save, sender=Tag, name="shop.handle")(handle)


def save_many() -> list[Tag]:
    return [Tag.objects.create(name=str(number)) for number in range(300)]


@pytest.mark.usefixtures("connected")
class TestMessages:
    def test_of_tasks(self) -> None:
        """Neither list is shown whole."""
        with capture_tasks() as tasks:
            tags = save_many()

        text = failure(tasks.assert_enqueued, handle, instance=tags[150], created=False)
        assert "Nearest: 151, where created was True, not False." in text
        assert text.count(f"<testapp.Tag pk={tags[150].pk}>") == 3
        assert "\n      ... 125 more ...\n" in text
        assert text.count("... 125 more ...") == 2
        assert "\n 300. " in text
        assert len(text) < 30_000

    def test_in_the_transaction(self) -> None:
        """Those whose tasks wait for the commit are what it is about, if they are of the row."""
        with capture_tasks() as tasks, transaction.atomic():
            tags = save_many()
            text = failure(tasks.assert_enqueued, handle, instance=tags[150])

        assert "Hint: it is scheduled" in text
        assert f"pk={tags[150].pk}>: created=True" in text
        assert len(text) < 30_000

    def test_of_signals(self) -> None:
        """The one that came nearest is there."""
        with capture_signals(post_save) as sent:
            tags = save_many()

        text = failure(sent.assert_sent, post_save, instance=tags[100], created=False)
        assert "Nearest: 101" in text
        assert "\n 101. post_save" in text
        assert len(text) < 15_000


class TestCut:
    def test_what_is_short(self) -> None:
        """It stays whole: a line in the place of one is no gain."""
        for count in (0, 1, 50, 51):
            lines = [str(number) for number in range(count)]
            assert [*cut(lines)] == lines

    def test_keeps_both_ends_and_what_it_is_about(self) -> None:
        """Each gap says how much is missing."""
        lines = [str(number) for number in range(100)]
        found = [*cut(lines, keep={50})]
        assert found[:25] == lines[:25]
        assert found[25:28] == ["      ... 25 more ...", "50", "      ... 24 more ..."]
        assert found[28:] == lines[-25:]
