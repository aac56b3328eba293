"""Run by ``tox -e package`` where the wheel is installed and nothing else but Django.

Not a test module: pytest is not there.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

database = Path(tempfile.mkdtemp()) / "bare.sqlite3"
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "signals_plus"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
)
django.setup()

from django.contrib.contenttypes.models import ContentType  # noqa: E402 - after setup()
from django.db import transaction  # noqa: E402
from django.db.models.signals import post_save  # noqa: E402

import signals_plus  # noqa: E402
from signals_plus.exceptions import SettingsError  # noqa: E402

assert "site-packages" in Path(signals_plus.__file__).parts, signals_plus.__file__
assert find_spec("celery") is None

call_command("check")
call_command("migrate", verbosity=0)

seen: list[str] = []


@signals_plus.receiver_on_commit(post_save, sender=ContentType)
def remember(instance: ContentType, **kwargs: object) -> None:
    """Note whom the event was about."""
    seen.append(instance.model)


with transaction.atomic():
    ContentType.objects.create(app_label="bare", model="thing")
    assert seen == []
assert seen == ["thing"], seen

problem = ""
try:

    @signals_plus.receiver_task(post_save, sender=ContentType, name="bare.task")
    def work(instance: ContentType, **kwargs: object) -> None:
        """Never run: there is no queue."""

except SettingsError as error:
    problem = str(error)
assert "pip install 'django-signals-plus[celery]'" in problem, problem
