"""Small projects in which pytest is run as their developers run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SETTINGS = """
SECRET_KEY = "x"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "signals_plus", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SIGNALS_PLUS_BACKENDS = {"default": {"BACKEND": "signals_plus.backends.dummy.DummyBackend"}}
"""
MODELS = """
from django.db import models

class Order(models.Model):
    number = models.CharField(max_length=20)
"""
RECEIVERS = """
from django.db.models.signals import post_save
from shop.models import Order
from signals_plus import receiver_on_commit, receiver_task

seen = []

@receiver_on_commit(post_save, sender=Order)
def confirm(instance, **kwargs):
    seen.append(instance.number)
    if instance.number == "bad":
        raise ValueError("no such order")

@receiver_task(post_save, sender=Order)
def print_label(instance, **kwargs):
    seen.append(f"label for {instance.number}")
"""

DJANGO = {"DJANGO_SETTINGS_MODULE": "config"}

# Where these stand, the arguments of a test may bring it back.
NO_ASYNCIO = ("-p", "no:asyncio")
WITH_ASYNCIO = ("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function")


class Result(NamedTuple):
    """How a run ended: how many tests did what, and what it printed."""

    counts: dict[str, int]
    output: str


class Project:
    """A folder with a Django project, or with nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def make_shop(self) -> None:
        self.write("config.py", SETTINGS)
        self.write("shop/__init__.py", "")
        self.write("shop/models.py", MODELS)
        self.write("shop/receivers.py", RECEIVERS)

    def pytest(self, *arguments: str, **environment: str) -> Result:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DJANGO_SETTINGS_MODULE", "PYTHONPATH", "PYTEST_ADDOPTS"}
            and not name.startswith(("PYTEST_", "COV_"))
        }
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *NO_ASYNCIO, *arguments],
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": str(self.folder), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        output = done.stdout + done.stderr
        last = done.stdout.strip().splitlines()[-1]
        return Result(
            {what.rstrip("s"): int(count) for count, what in re.findall(r"(\d+) ([a-z]+)", last)},
            output,
        )
