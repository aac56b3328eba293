"""``import signals_plus`` on top of Django, against importing Django and Celery."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from benchmarks.measuring import Bench, Figure

# What any module with receivers and tasks imports; no settings, no apps.
CODE = """
import time
before = time.perf_counter()
from celery import Celery, shared_task
from django.db import models, transaction
from django.dispatch import receiver
between = time.perf_counter()
import signals_plus
print((time.perf_counter() - between) / (between - before))
"""


def measure(bench: Bench) -> Mapping[str, Figure]:
    _import()  # writes the bytecode
    return {"package": Figure.of([_import() for _ in range(bench.size(41, 5))])}


def _import() -> float:
    # With bytecode, as installed packages have it; of all three, in a folder of their own.
    left_out = ("DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment["PYTHONPYCACHEPREFIX"] = os.environ["BENCHMARKS_FOLDER"]
    child = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, check=True, capture_output=True
    )
    return float(child.stdout)
