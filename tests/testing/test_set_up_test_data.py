"""Helpers that are kept by setUpTestData, of which Django gives each test a deep copy."""

from __future__ import annotations

import copy
import unittest
from typing import Any

import pytest
from django.db.models.signals import post_save
from django.test import TestCase

from signals_plus import receiver_on_commit, receiver_task
from signals_plus.testing import (
    EnqueuedTask,
    SentSignal,
    capture_signals,
    capture_tasks,
    isolated_receivers,
    mute_signals,
    run_on_commit,
)
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(databases=["default", "other"])

ran: list[str] = []


def handle(instance: Item, **kwargs: Any) -> None:
    ran.append(instance.name)


class KeepsHelpers(TestCase):
    """What a user writes."""

    __test__ = False
    tasks: capture_tasks
    sent: capture_signals
    item: Item
    first: SentSignal
    task: EnqueuedTask

    @classmethod
    def setUpTestData(cls) -> None:
        cls.enterClassContext(isolated_receivers())
        receiver_task(post_save, sender=Item, name="shop.handle")(handle)
        receiver_task(
            post_save,
            sender=Item,
            name="shop.ledger",
            durable=True,
            ordering_key=lambda **kwargs: "k",
        )(handle_in_turn)
        with capture_tasks() as cls.tasks, capture_signals(post_save) as cls.sent:
            cls.item = Item.objects.create(name="a")
            Item.objects.create(name="b")
        cls.first = cls.sent[0]
        cls.task = cls.tasks[0]

    def check(self) -> None:
        self.tasks.assert_enqueued(handle, instance=self.item, times=1)
        self.sent.assert_sent(post_save, instance=self.item, times=1)
        assert self.first.instance == self.item
        assert self.first is self.sent[0]
        assert self.task is self.tasks[0]
        assert not self.tasks[0].has_run
        assert "Waiting in the outbox" in str(self.tasks)
        assert len(self.tasks.timeline.sent) == 2
        ran.clear()
        self.tasks.run()
        assert sorted(ran) == ["a", "a in turn", "b", "b in turn"]
        self.first.instance.name = "changed"
        Item.objects.create(name="later")

    def test_one(self) -> None:
        self.check()

    def test_another(self) -> None:
        self.check()


def handle_in_turn(instance: Item, **kwargs: Any) -> None:
    ran.append(f"{instance.name} in turn")


def test_each_test_has_its_own() -> None:
    """What one test runs or changes is as before in the next."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(KeepsHelpers).run(result)

    assert result.errors + result.failures == []
    assert result.testsRun == 2


class KeepsBlocks(TestCase):
    """Those that have nothing to keep, for tests to begin."""

    __test__ = False
    on: mute_signals
    muted: mute_signals
    committing: run_on_commit
    isolated: isolated_receivers

    @classmethod
    def setUpTestData(cls) -> None:
        cls.on = cls.enterClassContext(mute_signals(receivers=[handle]))
        cls.muted = mute_signals(post_save, senders=[Item], except_=[handle])
        cls.committing = run_on_commit()
        cls.isolated = isolated_receivers()

    def test_it(self) -> None:
        assert self.on is type(self).on
        ran.clear()
        with self.isolated:
            receiver_on_commit(post_save, sender=Item)(handle)
            receiver_on_commit(post_save, sender=Item)(handle_in_turn)
            with self.committing:
                Item.objects.create(name="handle is muted")
                with self.muted:
                    Item.objects.create(name="both are")
        assert ran == ["handle is muted in turn"]


def test_blocks_without_data() -> None:
    """One that is not on is a new one, one that is on goes on."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(KeepsBlocks).run(result)

    assert result.errors + result.failures == []
    assert result.testsRun == 1


def test_a_block_that_is_on_is_one() -> None:
    """Its copy would see nothing."""
    with capture_signals(post_save) as sent:
        assert copy.deepcopy(sent) is sent


def test_nested_sendings_stay_nested() -> None:
    """A copy of the inner has the copy of the outer."""

    def make_another(instance: Item, **kwargs: Any) -> None:
        if instance.name == "outer":
            Item.objects.create(name="inner")

    post_save.connect(make_another, sender=Item, weak=False)
    with capture_signals(post_save) as sent:
        Item.objects.create(name="outer")

    outer, inner = copy.deepcopy(sent)
    assert isinstance(inner, SentSignal)
    assert inner.parent is outer
    assert outer is not sent[0]
    assert outer.instance is not sent[0].instance
