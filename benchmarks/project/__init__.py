"""The Django project of the benchmarks: one table, one Celery app."""

from .celery import app as celery_app

__all__ = ["celery_app"]
