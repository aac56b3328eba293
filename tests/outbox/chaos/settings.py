"""Settings of the processes: those of the tests, on the very databases that the tests made."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

_GIVEN = json.loads(os.environ["SIGNALS_PLUS_CHAOS"])

INSTALLED_APPS = [*INSTALLED_APPS, "tests.outbox.chaos"]
for _alias, _name in _GIVEN["databases"].items():
    DATABASES[_alias]["NAME"] = _name

globals().update(_GIVEN["settings"])
