"""System checks of the durable mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.db import connections, router

from ..backends.handler import backends
from ..conf import settings
from ..exceptions import SettingsError
from ..registry import registry
from .databases import routed
from .dialects import has_dialect
from .receiving import DurableReceiver
from .states import EFFECT


@register("signals_plus")
def check_aliases(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E003 to E005 and E007: a message cannot be committed together with its row."""
    found: list[CheckMessage] = []
    durable = _durable()
    with_outbox = routed() if durable else []
    not_committing: set[str] = set()
    for receiver in durable:
        senders = {
            model._meta.label: router.db_for_write(model) for model in receiver.sender_models()
        }
        using = receiver.options.using
        for alias in sorted({using} if using else {*senders.values()}):
            if not has_dialect(connections[alias]):
                found.append(_e005(receiver, alias))
            elif alias not in with_outbox:
                found.append(_e003(receiver, alias))
            elif not connections[alias].settings_dict["AUTOCOMMIT"]:
                not_committing.add(alias)
        for label, alias in senders.items():
            if using is not None and using != alias:
                found.append(_e004(receiver, label, alias))
    return found + [_e007(alias) for alias in sorted(not_committing)]


@register(Tags.database)
def check_servers(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """E006 and W014: what only a MariaDB or MySQL that answers can say of itself."""
    found: list[CheckMessage] = []
    if not _durable():
        return found
    for alias in sorted({*(databases or ())}.intersection(routed())):
        if connections[alias].vendor != "mysql":
            continue
        features = connections[alias].features
        if not features.supports_transactions:
            found.append(_e006(alias))
        if not features.has_select_for_update_skip_locked:
            found.append(_w014(alias))
    return found


@register("signals_plus")
def check_queues(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W016, and what the queues say whose word is final."""
    found: list[CheckMessage] = []
    durable = _durable()
    for alias in sorted({receiver.options.backend for receiver in durable}):
        found += _check_grace(alias)
        published = [
            receiver.name
            for receiver in durable
            if receiver.options.backend == alias and receiver.options.durable not in EFFECT
        ]
        if published:
            found += backends[alias].check_publish(sorted(published))
    return found


def _durable() -> list[DurableReceiver]:
    return [receiver for receiver in registry if isinstance(receiver, DurableReceiver)]


def _check_grace(alias: str) -> list[CheckMessage]:
    timeout = backends[alias].publish_timeout
    try:
        grace = settings.outbox_grace
    except SettingsError:  # E002 says so
        return []
    if timeout < grace:
        return []
    return [
        CheckWarning(
            f"Publishing to the backend {alias!r} may take its publish_timeout of {timeout:g} s, "
            f"and after SIGNALS_PLUS_OUTBOX_GRACE, {grace:g} s, the relay enqueues the same "
            "messages as well.",
            hint="Raise the grace, or lower the timeout.",
            id="signals_plus.W016",
        )
    ]


def _e003(receiver: DurableReceiver, alias: str) -> CheckMessage:
    return Error(
        f"Receiver {receiver.name!r} has durable={receiver.options.durable!r}, and the database "
        f"{alias!r}, which its rows are written to, has no outbox: DATABASE_ROUTERS do not let "
        "'signals_plus_outbox' migrate there.",
        hint="Let allow_migrate() return True for it, and run manage.py migrate "
        f"signals_plus_outbox --database {alias}.",
        id="signals_plus.E003",
    )


def _e004(receiver: DurableReceiver, label: str, alias: str) -> CheckMessage:
    using = receiver.options.using
    return Error(
        f"Receiver {receiver.name!r} has durable={receiver.options.durable!r} and "
        f"using={using!r}, but {label} is written to {alias!r}: the message and the row would not "
        "be committed together, and one could be there without the other.",
        hint="Leave using= out: the message is written where the row is.",
        id="signals_plus.E004",
    )


def _e005(receiver: DurableReceiver, alias: str) -> CheckMessage:
    return Error(
        f"Receiver {receiver.name!r} has durable={receiver.options.durable!r}, and its rows are "
        f"written to {alias!r}: the outbox has no dialect for {connections[alias].vendor}.",
        hint="Leave durable= out. The outbox works with PostgreSQL, MariaDB, MySQL, and SQLite "
        "from 3.35 on.",
        id="signals_plus.E005",
    )


def _e006(alias: str) -> CheckMessage:
    return Error(
        f"The database {alias!r} has an outbox, and its default storage engine knows no "
        "transactions: a message would be there without its row.",
        hint="Set default_storage_engine to InnoDB, and convert the tables that there are.",
        id="signals_plus.E006",
    )


def _e007(alias: str) -> CheckMessage:
    return Error(
        f'The database {alias!r} has an outbox and "AUTOCOMMIT": False: nobody would commit what '
        "relays and workers write to it.",
        hint='Leave "AUTOCOMMIT" out of DATABASES, and use transaction.atomic().',
        id="signals_plus.E007",
    )


def _w014(alias: str) -> CheckMessage:
    return CheckWarning(
        f"The database {alias!r} has an outbox and no SKIP LOCKED: relays wait for one another, "
        "and a copy of a message keeps a worker busy for as long as the other one works.",
        hint="Use MariaDB 10.6 or MySQL 8.0.1, or newer; until then run one relay.",
        id="signals_plus.W014",
    )
