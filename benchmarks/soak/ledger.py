"""Compare what was committed with what took effect, and see whether all has drained."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import redis
from django.conf import settings
from django.utils import timezone


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the events of one way."""

    committed: int
    executions: int
    lost: int
    #: Of those lost: a worker had begun them.
    lost_begun: int
    #: Effects beyond the first of an event.
    duplicates: int
    disordered: int


def compare(begun: Counter[int]) -> dict[str, Tally]:
    """Return a tally for each way."""
    from .project.models import Effect, Event  # noqa: PLC0415 - once Django is set up

    effects = Counter(Effect.objects.values_list("event", flat=True))
    events: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for pk, way, key in Event.objects.order_by("pk").values_list("pk", "way", "key"):
        events[way].append((pk, key))
    order = {
        event: n
        for n, event in enumerate(Effect.objects.order_by("pk").values_list("event", flat=True))
    }
    return {way: tally(rows, effects, begun, order) for way, rows in events.items()}


def tally(
    rows: Iterable[tuple[int, str]],
    effects: Counter[int],
    begun: Counter[int],
    order: Mapping[int, int],
) -> Tally:
    """Compare the rows of one way, each with its key, with the effects and the executions.

    ``order``: at which place each event took effect.
    """
    pks = [pk for pk, _ in rows]
    lost = [pk for pk in pks if not effects[pk]]
    return Tally(
        committed=len(pks),
        executions=sum(begun[pk] for pk in pks),
        lost=len(lost),
        lost_begun=sum(bool(begun[pk]) for pk in lost),
        duplicates=sum(max(0, effects[pk] - 1) for pk in pks),
        disordered=_disordered(rows, order),
    )


def ghosts() -> int:
    """Return how many effects there are of what was rolled back."""
    from .project.models import Effect, Event  # noqa: PLC0415

    return Effect.objects.exclude(event__in=Event.objects.values("pk")).count()


def dead() -> int:
    """Return how many messages were given up."""
    from signals_plus.outbox.models import Message  # noqa: PLC0415

    return Message.objects.filter(status=Message.Status.DEAD).count()


def waiting_in_outbox() -> int:
    """Return how many messages are not done yet."""
    from signals_plus.outbox.models import Message  # noqa: PLC0415

    return Message.objects.filter(status=Message.Status.PENDING).count()


def what_waits() -> Iterator[str]:
    """Yield what the outbox says of messages that are not done, the last to be due first."""
    from signals_plus.outbox.models import Message  # noqa: PLC0415

    now = timezone.now()
    for message in Message.objects.order_by("-due_at")[:20]:
        yield (
            f"{message} for {message.ordering_key}, due in {message.due_at - now} and since "
            f"{now - message.due_since}, {message.attempts} attempts, {message.claimed_by!r}, "
            f"{message.last_error!r}"
        )


def waiting() -> dict[str, int]:
    """Return what is not done yet, by where it waits."""
    url: str = getattr(settings, "CELERY_BROKER_URL")  # noqa: B009 - of the soak's own project
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        return {
            "outbox": waiting_in_outbox(),
            "queue": int(client.llen("celery")),
            "reserved": int(client.hlen("unacked")),
        }


def _disordered(rows: Iterable[tuple[int, str]], order: Mapping[int, int]) -> int:
    """Count events that took effect before one of their key that was sent earlier."""
    keys: dict[str, list[int]] = defaultdict(list)
    for pk, key in rows:
        if pk in order:
            keys[key].append(order[pk])
    return sum(later < earlier for each in keys.values() for earlier, later in pairwise(each))
