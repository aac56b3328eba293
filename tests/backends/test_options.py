"""Reading the options of backends."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from django.utils.module_loading import import_string

from signals_plus.backends.handler import backends
from signals_plus.exceptions import SettingsError

THREAD = "signals_plus.backends.thread.ThreadBackend"
IMMEDIATE = "signals_plus.backends.immediate.ImmediateBackend"
DUMMY = "signals_plus.backends.dummy.DummyBackend"
CELERY = "signals_plus.backends.celery.CeleryBackend"
RQ = "signals_plus.backends.rq.RQBackend"
DJANGO_TASKS = "signals_plus.backends.django_tasks.DjangoTasksBackend"


MAX = int(threading.TIMEOUT_MAX)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (THREAD, {"threads": 4, "queue_size": 1, "drain_timeout": 0, "ignore_unsupported": True}),
        (THREAD, {"drain_timeout": 2.5}),
        (THREAD, {"drain_timeout": MAX}),
        (IMMEDIATE, {"raise_errors": True, "ignore_unsupported": True}),
        (DUMMY, {"keep": False}),
        (CELERY, {"publish_timeout": 3}),
        (RQ, {"publish_timeout": 0.5, "queue_name": "mail"}),
        (DJANGO_TASKS, {"backend": "default", "enqueue_in_transaction": False}),
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
        *(
            (THREAD, {"drain_timeout": value}, f"={value!r}: it has to be a number of seconds from")
            for value in (-1, math.inf, math.nan, None, True, "5", 1e300, 10**400, MAX + 1)
        ),
        (THREAD, {"drain_timeout": -1}, f"it has to be a number of seconds from 0 up to {MAX}."),
        (THREAD, {"ignore_unsupported": 1}, "ignore_unsupported=1: it has to be True or False."),
        (IMMEDIATE, {"raise_errors": "no"}, "raise_errors='no': it has to be True or False."),
        (DUMMY, {"clear": True}, "unknown options: clear. It takes keep."),
        (CELERY, {"publish_timout": 2}, "unknown options: publish_timout. It takes publish_timeou"),
        *(
            (CELERY, {"publish_timeout": value}, f"={value!r}: it has to be a number of seconds ab")
            for value in (0, -1, "1", True, None, math.inf, math.nan, 1e300, MAX + 1)
        ),
        (RQ, {"name": "high"}, "unknown options: name. It takes queue_name, publish_timeout."),
        (RQ, {"publish_timeout": 0}, f"a number of seconds above 0, up to {MAX}."),
        (RQ, {"publish_timeout": 0}, "publish_timeout=0: it has to be a number of seconds above"),
        (RQ, {"queue_name": None}, "queue_name=None: it has to be a name."),
        (RQ, {"queue_name": ""}, "queue_name='': it has to be a name."),
        (DJANGO_TASKS, {"backend": 3}, "backend=3: it has to be a name."),
        (THREAD, {5: 1, "size": 3, None: 2}, "gives 'default' unknown options: 5, None, size. It"),
        (DUMMY, {("keep",): True}, "gives 'default' unknown options: ('keep',). It takes keep."),
    ],
)
def test_are_refused(path: str, options: Any, words: str, settings: Any) -> None:
    """With the value, and what it has to be."""
    settings.SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": path, "OPTIONS": options}}

    with pytest.raises(SettingsError) as caught:
        backends["default"]

    assert words in str(caught.value)
