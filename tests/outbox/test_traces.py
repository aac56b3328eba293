"""A message belongs to the trace of its event, wherever it is delivered and done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save
from opentelemetry import baggage, context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from signals_plus import receiver_task
from signals_plus.outbox.models import Message
from signals_plus.testing import capture_tasks
from tests.outbox.conftest import Outbox, committing_tests
from tests.queues import RecordingBackend
from tests.testapp.models import Item

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C

seen: list[int] = []


@pytest.fixture(autouse=True)
def _traced_receiver(outbox: Outbox) -> None:
    seen.clear()

    @receiver_task(post_save, sender=Item, durable=True, name="shop.traced")
    def traced(sender: Any, **kwargs: Any) -> None:
        seen.append(trace.get_current_span().get_span_context().trace_id)


@contextmanager
def a_trace() -> Iterator[None]:
    span = NonRecordingSpan(SpanContext(TRACE_ID, 0xB7AD, False, TraceFlags(1)))
    with trace.use_span(span):
        yield


@committing_tests
class TestTraces:
    def test_go_from_the_event_to_the_work(self, tasks: capture_tasks) -> None:
        """The row keeps it, as W3C's traceparent."""
        with a_trace(), transaction.atomic():
            Item.objects.create(name="a")

        assert f"{TRACE_ID:032x}" in Message.objects.get().trace
        tasks.run()
        assert seen == [TRACE_ID]

    def test_leave_behind_what_the_project_says_of_itself(self, tasks: capture_tasks) -> None:
        """Baggage may hold anything, of any size, and whoever sees messages sees the trace."""
        token = context.attach(baggage.set_baggage("customer", "ada@example.com"))
        try:
            with a_trace(), transaction.atomic():
                Item.objects.create(name="a")
        finally:
            context.detach(token)

        written = Message.objects.get().trace
        assert f"{TRACE_ID:032x}" in written
        assert "ada" not in written

    def test_are_not_there_where_nobody_traces(self, tasks: capture_tasks) -> None:
        with transaction.atomic():
            Item.objects.create(name="a")

        assert Message.objects.get().trace == ""
        tasks.run()
        assert seen == [0]

    @pytest.mark.parametrize("broken", ["{", "[]", '{"traceparent": 5}', "5", "[" * 200_000])
    def test_that_cannot_be_read_hold_nothing_up(
        self, broken: str, outbox: Outbox, tasks: capture_tasks
    ) -> None:
        """Neither the relay nor the work."""
        with a_trace(), transaction.atomic():
            Item.objects.create(name="a")
        Message.objects.update(trace=broken)
        outbox.make_due()

        assert outbox.relay.run_once() == 1
        tasks.run()

        assert seen == [0]
        assert not Message.objects.exists()

    def test_part_nothing_in_a_relay_that_does_not_trace(
        self, outbox: Outbox, queue: RecordingBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It enqueues together what belongs to several traces."""
        with a_trace(), transaction.atomic():
            Item.objects.create(name="a")
        with transaction.atomic():
            Item.objects.create(name="b")
        outbox.make_due()
        queue.calls.clear()
        monkeypatch.delitem(sys.modules, "opentelemetry.trace")

        assert outbox.relay.run_once() == 2

        assert [len(messages) for messages in queue.calls] == [2]

    def test_part_what_is_enqueued_in_a_relay_that_traces(
        self, outbox: Outbox, queue: RecordingBackend
    ) -> None:
        with a_trace(), transaction.atomic():
            Item.objects.create(name="a")
        with transaction.atomic():
            Item.objects.create(name="b")
        outbox.make_due()
        queue.calls.clear()

        assert outbox.relay.run_once() == 2

        assert [len(messages) for messages in queue.calls] == [1, 1]
