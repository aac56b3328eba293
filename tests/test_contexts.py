"""What new work begins with."""

from __future__ import annotations

import re
from contextvars import ContextVar
from pathlib import Path

from django.db.models.signals import post_save
from django.utils import translation

import signals_plus
from signals_plus import contexts, enqueuing, lineage, live, mute_signals
from signals_plus.lineage import Link

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
