"""Reading the options of backends."""

from __future__ import annotations

import math
from typing import Any

import pytest
from django.utils.module_loading import import_string

from signals_plus.backends.handler import backends
from signals_plus.exceptions import SettingsError

THREAD = "signals_plus.backends.thread.ThreadBackend"
IMMEDIATE = "signals_plus.backends.immediate.ImmediateBackend"
DUMMY = "signals_plus.backends.dummy.DummyBackend"


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (THREAD, {"threads": 4, "queue_size": 1, "drain_timeout": 0, "ignore_unsupported": True}),
        (THREAD, {"drain_timeout": 2.5}),
        (IMMEDIATE, {"raise_errors": True, "ignore_unsupported": True}),
        (DUMMY, {"keep": False}),
    ],
)
def test_are_taken(path: str, options: Any, settings: Any) -> None:
    """Whatever the documentation lists."""
    settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": path, "OPTIONS": options}}

    assert isinstance(backends["default"], import_string(path))


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        (
            THREAD,
            {"thread": 2, "size": 3},
            "gives 'default' unknown options: size, thread. It takes threads, queue_size, drain",
        ),
        (THREAD, {"threads": 0}, "threads=0: it has to be a whole number of at least 1."),
        (THREAD, {"threads": True}, "threads=True: it has to be a whole number of at least 1."),
        (THREAD, {"queue_size": 2.5}, "queue_size=2.5: it has to be a whole number of at least 1."),
        (THREAD, {"drain_timeout": -1}, "drain_timeout=-1: it has to be a number of seconds."),
        (THREAD, {"drain_timeout": math.inf}, "drain_timeout=inf: it has to be a number of"),
        (THREAD, {"drain_timeout": None}, "drain_timeout=None: it has to be a number of seconds."),
        (THREAD, {"ignore_unsupported": 1}, "ignore_unsupported=1: it has to be True or False."),
        (IMMEDIATE, {"raise_errors": "no"}, "raise_errors='no': it has to be True or False."),
        (DUMMY, {"clear": True}, "unknown options: clear. It takes keep."),
    ],
)
def test_are_refused(path: str, options: Any, words: str, settings: Any) -> None:
    """With the value, and what it has to be."""
    settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": path, "OPTIONS": options}}

    with pytest.raises(SettingsError) as caught:
        backends["default"]

    assert words in str(caught.value)
