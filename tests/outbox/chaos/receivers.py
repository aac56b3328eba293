"""The receivers of the processes. A process of the project has them from its start."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.outbox.chaos.shop import connect

if "SIGNALS_PLUS_CHAOS" in os.environ:
    connect(Path(json.loads(os.environ["SIGNALS_PLUS_CHAOS"])["folder"]))
