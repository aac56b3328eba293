"""A Django project whose workers and senders run as processes of their own.

The package imports its Celery app, as the Celery documentation tells projects to: the tests never
import it into their own process.
"""

from .celery import app as celery_app

__all__ = ["celery_app"]
