"""``receiver_on_commit`` against ``transaction.on_commit`` in a receiver."""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from benchmarks.measuring import Bench, Figure
from benchmarks.project.events import in_many, in_one, saved
from benchmarks.project.models import ByHand, ByHandBare, Row, WithPlus
from signals_plus import receiver_on_commit

logger = logging.getLogger(__name__)


def handle(sender: Any, instance: Row, created: bool, **kwargs: Any) -> None:
    pass


# By hand, and careful: on the right database, with the row as it is now, and with the errors of one
# kept from the next.
@receiver(post_save, sender=ByHand)
def handle_after_commit(sender: Any, instance: Row, using: str, **kwargs: Any) -> None:
    snapshot = copy.copy(instance)
    transaction.on_commit(functools.partial(run, sender, snapshot, kwargs), using=using)


def run(sender: Any, instance: Row, kwargs: dict[str, Any]) -> None:
    try:
        handle(sender, instance, **kwargs)
    except Exception:
        logger.exception("handle failed for %r", instance)


# As it stands in most projects. It is called for what the instance has become by then.
@receiver(post_save, sender=ByHandBare)
def handle_somehow(sender: Any, instance: Row, created: bool, **kwargs: Any) -> None:
    transaction.on_commit(lambda: handle(sender, instance, created))


receiver_on_commit(post_save, sender=WithPlus)(handle)


def measure(bench: Bench) -> Mapping[str, Figure]:
    ours, careful, bare = (saved(model, 100) for model in (WithPlus, ByHand, ByHandBare))
    together = bench.times(
        {"ours": in_one(ours), "careful": in_one(careful), "bare": in_one(bare)}, rounds=300
    )
    return {
        "one": bench.compare(in_many(ours), in_many(careful), rounds=200),
        "hundred": Figure.of_ratios(together["ours"], together["careful"]),
        "bare": Figure.of_ratios(together["ours"], together["bare"]),
    }
