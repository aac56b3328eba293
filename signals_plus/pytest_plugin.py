"""What pytest loads wherever the package is installed: fixtures and a marker, if it is new enough.

It has to start with an older one, too: the project may not even use them.
"""

from __future__ import annotations

import pytest

# Hooks that wrap others are written as pluggy 1.3 reads them, without which pytest 8 is not there.
if getattr(pytest, "version_tuple", (0,)) >= (8,):
    from .pytest_fixtures import (  # noqa: F401 - pytest finds them here
        capture_signals,
        capture_tasks,
        isolated_receivers,
        mute_signals,
        pytest_configure,
        pytest_runtest_call,
        pytest_runtest_setup,
        pytest_runtest_teardown,
        run_on_commit,
    )
else:

    def pytest_report_header() -> str:
        """Say what is missing."""
        return "signals_plus: no fixtures and no marker, as these need pytest 8 or newer"
