"""What Django's own model signals are called and which arguments they send.

Source: https://docs.djangoproject.com/en/stable/ref/signals/ and the senders in Django itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import signals
from django.dispatch import Signal

from . import _compat

SAVE = frozenset({"instance", "raw", "using", "update_fields"})
DELETE = frozenset({"instance", "using", "origin"})
M2M = frozenset({"action", "instance", "reverse", "model", "pk_set", "using"})
MIGRATE = frozenset({"app_config", "verbosity", "interactive", "using", "plan", "apps", "stdout"})

ARGUMENTS: Mapping[Signal, frozenset[str]] = {
    signals.class_prepared: frozenset(),
    signals.pre_init: frozenset({"args", "kwargs"}),
    signals.post_init: frozenset({"instance"}),
    signals.pre_save: SAVE,
    signals.post_save: SAVE | {"created"},
    signals.pre_delete: DELETE,
    signals.post_delete: DELETE,
    signals.m2m_changed: M2M | {"raw"} if _compat.M2M_CHANGED_SENDS_RAW else M2M,
    signals.pre_migrate: MIGRATE,
    signals.post_migrate: MIGRATE,
}

NAMES: Mapping[Signal, str] = {
    signal: name for name, signal in vars(signals).items() if isinstance(signal, Signal)
}

# Why waiting for the commit makes no sense for a signal, and what to use instead.
NOT_DEFERRABLE: Mapping[Signal, str] = {
    signals.pre_save: (
        "It comes before the row is written, in autocommit even before it exists: use post_save."
    ),
    signals.pre_init: "It is about an object in memory, not about a row: use @receiver.",
    signals.post_init: "It is about an object in memory, not about a row: use @receiver.",
    signals.class_prepared: "It is sent while modules are imported: use @receiver.",
}


def name_of(signal: Signal) -> str:
    """Name a signal for a message."""
    return NAMES.get(signal, repr(signal))
