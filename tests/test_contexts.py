"""What new work begins with."""

from __future__ import annotations

import re
from contextlib import suppress
from contextvars import ContextVar, copy_context
from pathlib import Path

from django.db.models.signals import post_save
from django.utils import translation

import signals_plus
from signals_plus import contexts, enqueuing, lineage, live, mute_signals
from signals_plus.links import Link
from signals_plus.testing import capture_tasks
from signals_plus.testing.recording import Recorder

trace_id = ContextVar("trace_id", default="none")


class TestForNewWork:
    def test_keeps_what_is_of_others(self) -> None:
        """Variables of the project and of its libraries, as they are now."""
        token = trace_id.set("a")
        with translation.override("de"):
            context = contexts.for_new_work()
        trace_id.reset(token)

        assert context.run(trace_id.get) == "a"
        assert context.run(translation.get_language) == "de"

    def test_leaves_our_own_behind(self) -> None:
        """Mutes, the lineage, and that a failure is being reported."""
        enqueuing._reporting.set(True)
        with mute_signals(post_save), lineage.within((Link("a", None),)):
            context = contexts.for_new_work()
            assert live.rules_here.get() != ()
            assert lineage.current() != ()
        enqueuing._reporting.set(False)

        assert context.run(live.rules_here.get) == ()
        assert context.run(lineage.current) == ()
        assert context.run(enqueuing._reporting.get) is False

    def test_changes_nothing_here(self) -> None:
        """The work that hands something over goes on as it was."""
        chain = (Link("a", None),)

        with lineage.within(chain):
            contexts.for_new_work()

            assert lineage.current() == chain

    def test_knows_all_variables_of_the_package(self) -> None:
        """Nobody makes one anywhere else."""
        source = Path(signals_plus.__file__).parent

        makers = [
            path.name
            for path in source.rglob("*.py")
            if re.search(r"\bContextVar\(", path.read_text(encoding="utf-8"))
        ]

        assert makers == ["contexts.py"]


class TestTakenAlong:
    def test_is_all_of_the_package_and_nothing_else(self) -> None:
        """Until what began it ends, there too."""
        elsewhere = copy_context()
        token = trace_id.set("a")
        with mute_signals(post_save), capture_tasks() as tasks:
            elsewhere.run(contexts.taken_along())

            assert elsewhere.run(live.rules_here.get) == live.rules_here.get() != ()
            assert elsewhere.run(lambda: [*Recorder.scope]) == [tasks]
            assert elsewhere.run(trace_id.get) == "none"
        trace_id.reset(token)

        assert elsewhere.run(lambda: [*Recorder.scope]) == []
        assert all(rule.ended for rule in elsewhere.run(live.rules_here.get))


class TestNewWork:
    def test_is_without_our_own(self) -> None:
        """Which is there again afterwards, also if the work fails; what is of others stays."""
        chain = (Link("a", None),)
        token = trace_id.set("a")

        with mute_signals(post_save), lineage.within(chain):
            rules = live.rules_here.get()
            with suppress(LookupError), contexts.new_work():
                assert live.rules_here.get() == ()
                assert lineage.current() == ()
                assert trace_id.get() == "a"
                trace_id.set("b")
                raise LookupError
            assert live.rules_here.get() == rules != ()
            assert lineage.current() == chain

        assert trace_id.get() == "b"
        trace_id.reset(token)

    def test_may_mute_what_is_muted_outside(self) -> None:
        """By the same object: what ends is what the work began."""
        block = mute_signals(post_save)

        with block:
            with contexts.new_work():
                with block:
                    assert len(live.rules_here.get()) == 1
                assert live.rules_here.get() == ()
            (rule,) = live.rules_here.get()
            assert not rule.ended

        assert live.rules_here.get() == ()
