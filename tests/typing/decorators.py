"""What a type checker has to see. mypy reads this file; nothing runs it.

The function a decorator is given comes back with its own type, so that calling it directly is
checked like any other call.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, assert_type

from django.db import models
from django.db.models.signals import post_delete, post_save, pre_save

from signals_plus import (
    Event,
    mute_signals,
    receiver,
    receiver_on_commit,
    receiver_task,
    recursion_guard,
)
from tests.testapp.models import Item


@receiver(pre_save, sender=Item, priority=5, recursion="raise")
def at_once(instance: Item, **kwargs: Any) -> int:
    return instance.score


@receiver_on_commit([post_save, post_delete], sender="testapp.Item", using="other", robust=False)
def after_commit(instance: Item, *, note: str = "", **kwargs: Any) -> str:
    return instance.name + note


@receiver_task(
    post_save,
    sender=[Item, "testapp.Tag"],
    run_after=timedelta(seconds=5),
    autoretry_for=(OSError,),
)
def in_worker(instance: Item, **kwargs: Any) -> bool:
    return bool(instance.score)


@receiver_on_commit(post_save)
async def asynchronous(instance: Item, **kwargs: Any) -> str:
    return instance.name


def functions_keep_their_type(item: Item) -> None:
    assert_type(at_once(item), int)
    assert_type(after_commit(item, note="!"), str)
    assert_type(in_worker(item), bool)
    after_commit("no item")  # type: ignore[arg-type]
    after_commit(item, note=1)  # type: ignore[arg-type]


async def coroutine_functions_keep_their_type(item: Item) -> None:
    assert_type(await asynchronous(item), str)


class Service:
    """Bound methods are receivers, too."""

    def update(self, instance: Item, **kwargs: Any) -> int:
        return instance.score


bound: Callable[..., int] = receiver(post_save, sender=Item)(Service().update)


def wrong_keywords_are_seen() -> None:
    receiver(post_save, Item)  # type: ignore[call-arg]
    receiver(post_save, priority="high")  # type: ignore[arg-type]
    receiver_on_commit(post_save, durable=True)  # type: ignore[call-arg]
    receiver_task(post_save, run_after=5)  # type: ignore[arg-type]


@mute_signals(post_save)
def quiet(number: int) -> str:
    return str(number)


@mute_signals(post_save, senders=[Item], all_threads=True)
async def quiet_coroutine(number: int) -> str:
    return str(number)


@mute_signals(receivers=[at_once])
class QuietTests:
    def test(self) -> int:
        return 1


def muting_keeps_types() -> None:
    assert_type(quiet(1), str)
    quiet("one")  # type: ignore[arg-type]
    assert_type(QuietTests().test(), int)
    with mute_signals(post_save) as muting:
        assert_type(muting, mute_signals)
    mute_signals("post_save")  # type: ignore[arg-type]


async def muting_keeps_coroutines() -> None:
    assert_type(await quiet_coroutine(1), str)


@recursion_guard
def guarded(sender: type[models.Model], instance: Item, **kwargs: Any) -> int:
    return instance.score


@recursion_guard(recursion="raise")
def strictly_guarded(sender: type[models.Model], instance: Item, **kwargs: Any) -> int:
    return instance.score


def guards_may_skip(item: Item) -> None:
    # None: the call that was skipped.
    assert_type(guarded(Item, item), int | None)
    assert_type(strictly_guarded(Item, item), int | None)
    guarded(Item, "no item")  # type: ignore[arg-type]
    assert_type(recursion_guard(guarded, item), AbstractContextManager[None])
    with recursion_guard(at_once, item, recursion="raise"):
        item.save()


def events_are_read_only(event: Event) -> None:
    assert_type(event.created, bool | None)
    assert_type(event.update_fields, frozenset[str] | None)
    event.using = "other"  # type: ignore[misc]
