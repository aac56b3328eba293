"""The queues that are none: tasks run in the process that enqueues them."""

from __future__ import annotations

import unittest
from typing import Any, ClassVar

from signals_plus.conformance.suite import BackendSuite

# Each task is logged when it has run: the log is all the monitor there is.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"signals_plus": {"handlers": ["console"], "level": "INFO"}},
}


class TestThread(BackendSuite, unittest.TestCase):
    backend = {"BACKEND": "signals_plus.backends.thread.ThreadBackend"}  # noqa: RUF012
    settings: ClassVar[dict[str, Any]] = {"LOGGING": LOGGING}


class TestImmediate(BackendSuite, unittest.TestCase):
    backend = {"BACKEND": "signals_plus.backends.immediate.ImmediateBackend"}  # noqa: RUF012
    settings: ClassVar[dict[str, Any]] = {"LOGGING": LOGGING}
