"""What it costs to enqueue one event, by queue, against Celery on Redis."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models.signals import ModelSignal

from benchmarks.measuring import Bench, Figure
from benchmarks.project import queue
from benchmarks.project.events import in_many, saved
from benchmarks.project.models import Row, WithPlus
from signals_plus import conf, receiver_task

# A signal for each queue: its one receiver is all that sending it costs.
SIGNALS = {alias: ModelSignal(use_caching=True) for alias in conf.settings.backends}


def handle(sender: Any, instance: Row, **kwargs: Any) -> None:
    pass


for alias, signal in SIGNALS.items():
    receiver_task(signal, sender=WithPlus, backend=alias, name=f"benchmarks.{alias}")(handle)


def measure(bench: Bench) -> Mapping[str, Figure]:
    times = bench.times(
        {alias: enqueuing(signal) for alias, signal in SIGNALS.items()}, rounds=40, before=empty
    )
    ours = times.pop("default")
    return {alias: Figure.of_ratios(each, ours) for alias, each in times.items()}


def enqueuing(signal: ModelSignal) -> Callable[[], None]:
    """Return a function that sends 50 events, each in a transaction of its own."""
    return in_many(saved(WithPlus, 50), signal=signal)


def empty() -> None:
    """Drop what the last contender has enqueued."""
    queue.empty()
    if "django_rq" in settings.INSTALLED_APPS:
        import django_rq  # noqa: PLC0415 - it reads the settings

        django_rq.get_queue("default").empty()
    for app, model in (("django_q", "OrmQ"), ("django_tasks_db", "DBTaskResult")):
        if app in settings.INSTALLED_APPS:
            label = next(c.label for c in apps.get_app_configs() if c.name == app)
            apps.get_model(label, model)._default_manager.all().delete()
    gc.collect()
