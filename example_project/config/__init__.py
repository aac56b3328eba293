"""The project: its settings, and with Celery the app that has to be there when Django starts."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("signals_plus") is None:
    # A plain clone, with nothing installed: the package is in the folder above.
    sys.path.append(str(Path(__file__).resolve().parents[2]))

if os.environ.get("SHOP_QUEUE", "celery") == "celery":
    from .celery import app as celery_app  # noqa: F401
