"""What the figures were measured on."""

from __future__ import annotations

import datetime
import os
import platform
import sqlite3
from importlib import metadata
from pathlib import Path

import django

from . import servers

PACKAGES = ("Django", "celery", "kombu", "redis", "psycopg")


def django_series() -> str:
    """Return the series that a column of the table stands for: "6.1"."""
    return ".".join(django.get_version().split(".")[:2])


def described() -> dict[str, str]:
    """Return the versions of all that has a part in the figures, and the date."""
    found = {
        "CPU": f"{_cpu()}, {os.cpu_count()} cores",
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "SQLite": sqlite3.sqlite_version,
    }
    for server, name in (("postgresql", "PostgreSQL"), ("redis", "Redis server")):
        if not servers.missing(server):
            found[name] = servers.version(server)
    if not servers.missing("rabbitmq"):
        found["RabbitMQ"] = servers.version("rabbitmq")
    return found | {"date": datetime.datetime.now(tz=datetime.UTC).date().isoformat()}


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
