"""The comparison of ``task``, with a hand that waits for RabbitMQ's confirmation as well."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.comparisons import task
from benchmarks.measuring import Bench, Figure
from benchmarks.project.celery import app
from benchmarks.project.models import ByHand


def measure(bench: Bench) -> Mapping[str, Figure]:
    app.conf.broker_transport_options = {"confirm_publish": True}
    return {"one": task.one_each(bench, ByHand)}
