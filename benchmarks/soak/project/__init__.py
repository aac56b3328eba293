"""The Django project of the soak: two ledgers, and a receiver for each way to run a task."""

from .celery import app as celery_app

__all__ = ["celery_app"]
