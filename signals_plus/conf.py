"""The settings of the package: each once, with its default, its unit and its reason.

Nothing is read before it is needed, so that importing the package needs no configured settings
and ``override_settings`` works.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings as django_settings

from .exceptions import SettingsError

# App labels, or "app_label.Model" for one model. These are the rows that queues, their result
# stores, sessions and the migration recorder write by themselves: a task receiver for every
# sender would enqueue a task for the row that the enqueued task just wrote, for ever.
DEFAULT_EXCLUDED_SENDERS = (
    "migrations",
    "sessions",
    "django_celery_beat",
    "django_celery_results",
    "django_dramatiq",
    "django_q",
    "django_rq",
    "django_tasks_database",
    "huey_monitor",
    "hueystats",
    "procrastinate",
    "signals_plus_outbox",
)

# Events below this size are not measured against the limit, for reading a setting takes longer than
# writing an event.
MIN_PAYLOAD_BYTES = 1024

DEFAULT_BACKENDS: Mapping[str, Mapping[str, Any]] = {
    "default": {"BACKEND": "signals_plus.backends.celery.CeleryBackend"},
}


class Settings:
    """Read the project's settings, checked, with the defaults of the package."""

    @property
    def autodiscover(self) -> tuple[str, ...]:
        """``SIGNALS_PLUS_AUTODISCOVER``: submodules of each app imported when Django starts.

        Default ``["receivers"]``; ``[]`` turns it off.
        """
        return self._names("AUTODISCOVER", ("receivers",))

    @property
    def backends(self) -> Mapping[str, Mapping[str, Any]]:
        """``SIGNALS_PLUS_BACKENDS``: where task receivers run, by alias, shaped like ``TASKS``.

        Default: Celery under ``"default"``.
        """
        value = self._get("BACKENDS", DEFAULT_BACKENDS)
        if not isinstance(value, Mapping) or not all(map(_is_backend, value.values())):
            raise self._error(
                "BACKENDS",
                value,
                'a dictionary by alias: {"default": {"BACKEND": "dotted.path.of.Backend", '
                '"OPTIONS": {...}}}',
            )
        return value

    @property
    def excluded_senders(self) -> frozenset[str]:
        """``SIGNALS_PLUS_EXCLUDED_SENDERS``: app labels or ``"app_label.Model"``.

        A task receiver that names no sender is never enqueued for these models. The default lists
        what the common queues and sessions write by themselves; a list of yours replaces it.
        """
        names = self._names("EXCLUDED_SENDERS", DEFAULT_EXCLUDED_SENDERS)
        return frozenset(name.lower() for name in names)

    @property
    def max_chain_depth(self) -> int:
        """``SIGNALS_PLUS_MAX_CHAIN_DEPTH``: receivers in one chain of cause and effect, default 50.

        A longer chain raises ``RecursionLimitError``. It bounds chains over ever new rows, which
        no guard by row can see.
        """
        value = self._get("MAX_CHAIN_DEPTH", 50)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._error("MAX_CHAIN_DEPTH", value, "a whole number of at least 1")
        return value

    @property
    def max_payload_bytes(self) -> int:
        """``SIGNALS_PLUS_MAX_PAYLOAD_BYTES``: bytes of JSON for one event, default 256 KiB.

        A larger one raises ``PayloadError`` when the signal is sent. It is hundreds of times what
        rows and keys need, and what common queues still take in one message (Amazon's SQS).
        """
        value = self._get("MAX_PAYLOAD_BYTES", 256 * 1024)
        if not isinstance(value, int) or isinstance(value, bool) or value < MIN_PAYLOAD_BYTES:
            wanted = f"a whole number of at least {MIN_PAYLOAD_BYTES}"
            raise self._error("MAX_PAYLOAD_BYTES", value, wanted)
        return value

    @property
    def outbox_grace(self) -> float:
        """``SIGNALS_PLUS_OUTBOX_GRACE``: seconds until the relay sees a message, default 30.

        Time for the commit, the queue and the worker; what takes longer is enqueued again, which
        does no harm. A message that a worker or a relay has had waits as long at least.
        """
        value = self._get("OUTBOX_GRACE", 30)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 600:
            raise self._error("OUTBOX_GRACE", value, "a number of seconds above 0, at most 600")
        return float(value)

    @property
    def outbox_max_attempts(self) -> int:
        """``SIGNALS_PLUS_OUTBOX_MAX_ATTEMPTS``: attempts until a message is dead, default 12.

        Some forty minutes: the waits between attempts double from two seconds to ten
        minutes.
        """
        value = self._get("OUTBOX_MAX_ATTEMPTS", 12)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1000:
            raise self._error("OUTBOX_MAX_ATTEMPTS", value, "a whole number from 1 to 1000")
        return value

    def _names(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self._get(name, default)
        if not isinstance(value, list | tuple | set | frozenset) or not all(
            isinstance(entry, str) for entry in value
        ):
            raise self._error(name, value, "a list of strings")
        return tuple(value)

    def _get(self, name: str, default: Any) -> Any:
        return getattr(django_settings, f"SIGNALS_PLUS_{name}", default)

    def _error(self, name: str, value: object, wanted: str) -> SettingsError:
        return SettingsError(f"SIGNALS_PLUS_{name}", f"is {value!r}: it has to be {wanted}.")


def _is_backend(entry: object) -> bool:
    return (
        isinstance(entry, Mapping)
        and isinstance(entry.get("BACKEND"), str)
        and isinstance(entry.get("OPTIONS", {}), Mapping)
        and entry.keys() <= {"BACKEND", "OPTIONS"}
    )


settings = Settings()
