"""The settings of the tests, changed by the test that starts the process."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

_changed: dict[str, Any] = json.loads(os.environ["OUTBOX_PROJECT"])

for _alias, _values in _changed["databases"].items():
    DATABASES[_alias] |= _values
INSTALLED_APPS = [*INSTALLED_APPS, "tests.outbox_project"]
SIGNALS_PLUS_BACKENDS = {"default": _changed["backend"]}
SIGNALS_PLUS_OUTBOX_GRACE = 5
CELERY_BROKER_URL = _changed.get("broker", "memory://")
globals().update(_changed.get("settings", {}))
