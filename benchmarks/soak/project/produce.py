"""A process that saves events until it is killed: ``python -m benchmarks.soak.project.produce``.

It says "ready", waits for a line, and begins. Some of what it saves it rolls back, which must
have no effect.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
import time
import uuid
from collections.abc import Iterator

import django

# One message of a key at a time goes through the queue: a key that never ends would fall behind.
TRANSACTIONS_OF_A_KEY = 20


class ChangedMindError(Exception):
    """What rolls a transaction or a savepoint back."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--pause", type=float, default=0, help="seconds between transactions")
    options = parser.parse_args()
    django.setup()
    transactions = produce(random.Random(options.seed))
    # Connected to everything, so that it is killed while it saves, not while it imports.
    next(transactions)
    print("ready", flush=True)
    if sys.stdin.readline():
        for _ in transactions:
            time.sleep(options.pause * random.uniform(0.5, 1.5))


def produce(dice: random.Random) -> Iterator[None]:
    """Save one to ten events a transaction, for ever."""
    from django.db import transaction  # noqa: PLC0415 - needs the settings

    from .models import WAYS  # noqa: PLC0415

    for number in itertools.count():
        if number % TRANSACTIONS_OF_A_KEY == 0:
            key = uuid.uuid4().hex
        with contextlib.suppress(ChangedMindError), transaction.atomic():
            for _ in range(dice.choice((1, 1, 2, 4, 10))):
                (way,) = dice.choices(WAYS, weights=(13, 2, 1, 2, 2))
                with contextlib.suppress(ChangedMindError), transaction.atomic():
                    way.objects.create(key=key)
                    change_mind(dice, 0.03)
            change_mind(dice, 0.03)
        yield


def change_mind(dice: random.Random, probability: float) -> None:
    if dice.random() < probability:
        raise ChangedMindError


if __name__ == "__main__":
    main()
