"""Django-Q2: each message is one of its tasks, under the name of the receiver."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django_q.conf import Conf
from django_q.tasks import async_task

from ..exceptions import BackendError, InvalidReceiverError, SettingsError
from ._django_q_brokers import Broker, LibraryBroker, Message, OrmBroker
from ._publishing import Turns, is_duration
from .base import BaseBackend, Refused, Task

logger = logging.getLogger("signals_plus")

RUN_TASK = "signals_plus.backends.base.run_task"

# What the columns of Django-Q2's tables hold: characters.
MAX_NAME = 100
MAX_HOOK = 256

# What a receiver may give to async_task(), and what each has to be: a value of another type ends
# the worker process, or fails only after the commit.
WANTED = {
    "ack_failure": "True or False",
    "cached": "True, False or a whole number of seconds above 0",
    "group": f"a name of at most {MAX_NAME} characters",
    "hook": f"the dotted path of a function, of at most {MAX_HOOK} characters",
    "save": "True or False",
    "timeout": "a whole number of seconds above 0",
}


class DjangoQBackend(BaseBackend):
    """Run task receivers in the clusters of Django-Q2 (``manage.py qcluster``).

    The broker is that of ``Q_CLUSTER``. What it cannot do, this cannot: with the ORM broker
    ``run_after`` is exact; the others have no such thing. With Redis a task that failed is gone,
    with the others it is run again every ``Q_CLUSTER["retry"]`` seconds until ``max_attempts``,
    unless the receiver says ``ack_failure=True``.

    ``OPTIONS``:

    - ``cluster``: where receivers without a ``queue_name`` run (default: the cluster that
      ``Q_CLUSTER`` is about).
    - ``publish_timeout``: seconds (default 1.0) that one step of reaching Redis may take: to
      connect, to write, to wait for the answer. A request waits for at most two. Databases
      and other brokers have the limits of their own connection.
    - ``enqueue_in_transaction``: True, with the ORM broker: tasks are rows of the transaction in
      which the signal was sent, and come and go with it. By default they are written after it.
    """

    supports_queue_name = True
    supports_run_after = True
    supports_retries = True
    option_names = frozenset(WANTED)

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self.cluster = options.get("cluster", default_cluster())
        self.publish_timeout = options.get("publish_timeout", 1.0)
        self.enqueue_in_transaction = options.get("enqueue_in_transaction", False)
        self._check_options()
        self._broker = self._build_broker()
        if self.enqueue_in_transaction and not isinstance(self._broker, OrmBroker):
            raise self._settings_error(
                "enqueue_in_transaction, but the broker of Q_CLUSTER is none that takes part in a "
                'transaction: only the ORM broker does ("orm": "default")'
            )
        self._turns = self._new_turns()
        self.supports_run_after = self._broker.can_wait
        self.supports_retries = self._broker.repeats is not False
        if not self.supports_retries:
            self.option_names = frozenset(WANTED.keys() - {"ack_failure"})

    @property
    def transaction_alias(self) -> str | None:
        return Conf.ORM if self.enqueue_in_transaction else None

    def refuse_unsupported(self, task: Task) -> None:
        super().refuse_unsupported(task)
        for option, value in task.options.items():
            if not _is_wanted(option, value):
                raise InvalidReceiverError(
                    task.name, f"has {option}={value!r}", f"It has to be {WANTED[option]}."
                )
        if task.queue_name is not None and not _is_name(task.queue_name):
            raise InvalidReceiverError(
                task.name,
                f"has queue_name={task.queue_name!r}",
                f"It has to be the name of a cluster, of at most {MAX_NAME} characters.",
            )

    def enqueue(self, task: Task, payload: str) -> None:
        for refused in self.enqueue_many([(task, payload)]):
            raise refused.error

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        if Conf.SYNC:
            self._run_all(messages)
            return []
        refused, outgoing = [], []
        for task, payload in messages:
            try:
                outgoing.append(self._message(task, payload))
            except Exception as error:  # noqa: BLE001 - of a receiver of pre_enqueue, as any
                refused.append(self._refused(task, payload, error))
        turns = self._turns if self._broker.has_turns else self._new_turns()
        for part in self._broker.parts(outgoing):
            error = turns.attempt(lambda part=part: self._broker.write(part))
            if error is not None:
                refused += [self._refused(each.task, each.payload, error) for each in part]
        return refused

    def check(self) -> list[CheckMessage]:
        """W010 and W011, outside of DEBUG."""
        if django_settings.DEBUG:
            return []
        found: list[CheckMessage] = []
        if Conf.SYNC:
            found.append(
                CheckWarning(
                    'Receivers are tasks of Django-Q2, but Q_CLUSTER["sync"] is on: they run '
                    "inside the request, and their errors are the request's.",
                    hint="Leave it out outside of DEBUG and tests, and run manage.py qcluster.",
                    id="signals_plus.W010",
                )
            )
        if self._broker.repeats and not Conf.MAX_ATTEMPTS and not Conf.ACK_FAILURES:
            found.append(
                CheckWarning(
                    f"A task of Django-Q2 that fails is run again every {Conf.RETRY} s, for ever.",
                    hint='Set Q_CLUSTER["max_attempts"], or Q_CLUSTER["ack_failures"] = True and '
                    "give ack_failure=False to the receivers that are to be run again.",
                    id="signals_plus.W011",
                )
            )
        return found

    def _message(self, task: Task, payload: str) -> Message:
        """Let Django-Q2 make the message of a payload. See Note [Writing messages ourselves]."""
        keeper = _Keeper(task.queue_name or self.cluster)
        name = _shortened(task.name)
        options = {"task_name": name, "cluster": keeper.list_key, "broker": keeper, **task.options}
        # The admin filters by group, and a task that is submitted there again keeps nothing else.
        # The cache would keep a list of all tasks of a group.
        if not task.options.get("cached", Conf.CACHED):
            options.setdefault("group", name)
        # Positional: async_task() takes many keywords for itself.
        async_task(RUN_TASK, task.name, payload, q_options=options)
        return Message(task, payload, keeper.list_key, keeper.signed)

    def _run_all(self, messages: Sequence[tuple[Task, str]]) -> None:
        """Run all, as a cluster would, and raise the first error only then."""
        first: Exception | None = None
        for task, payload in messages:
            try:
                self._message(task, payload)
            except Exception as error:
                if first is None:
                    first = error
                else:
                    logger.error("Task %s raised as well: %r", task.name, error, exc_info=error)
        if first is not None:
            raise first

    def _refused(self, task: Task, payload: str, cause: Exception) -> Refused:
        error = BackendError(self.alias, f"could not enqueue: {cause!r}")
        error.__cause__ = cause
        return Refused(task, payload, error)

    def _new_turns(self) -> Turns:
        return Turns(self.publish_timeout, self._broker.is_failure)

    def _build_broker(self) -> Broker:
        # In the order of django_q.brokers.get_broker().
        if Conf.BROKER_CLASS:
            return LibraryBroker(self.publish_timeout, repeats=None)
        if Conf.IRON_MQ or isinstance(Conf.SQS, dict):
            return LibraryBroker(self.publish_timeout, repeats=True)
        if Conf.ORM:
            return OrmBroker(Conf.ORM, joins=self.enqueue_in_transaction)
        if Conf.MONGO:
            return LibraryBroker(self.publish_timeout, repeats=True)
        try:
            from ._django_q_redis import RedisBroker  # noqa: PLC0415 - the others need no redis-py
        except ImportError as error:
            raise SettingsError(
                "Q_CLUSTER",
                f"names no broker, so that Django-Q2 takes Redis, and {error}. Name one, as "
                '"orm": "default", or install redis.',
            ) from error
        return RedisBroker(self.publish_timeout)

    def _check_options(self) -> None:
        known = {"cluster", "publish_timeout", "enqueue_in_transaction"}
        if unknown := self.options.keys() - known:
            raise self._settings_error(f"unknown options: {', '.join(sorted(unknown))}")
        if not _is_name(self.cluster):
            raise self._settings_error(
                f"cluster={self.cluster!r}, which is no name of at most {MAX_NAME} characters"
            )
        if not is_duration(self.publish_timeout):
            raise self._settings_error(
                f"publish_timeout={self.publish_timeout!r}, which is no number of seconds above 0"
            )
        if not isinstance(self.enqueue_in_transaction, bool):
            raise self._settings_error(
                f"enqueue_in_transaction={self.enqueue_in_transaction!r}, which is not True or "
                "False"
            )

    def _settings_error(self, problem: str) -> SettingsError:
        return SettingsError(
            "SIGNALS_PLUS_BACKENDS",
            f"gives {self.alias!r} {problem}. It takes cluster, publish_timeout and "
            "enqueue_in_transaction.",
        )


class _Keeper:
    """Stands for a broker of Django-Q2, and keeps the one message it is given."""

    signed = ""

    def __init__(self, list_key: str) -> None:
        self.list_key = list_key

    def enqueue(self, signed: str) -> str:
        self.signed = signed
        return "..."  # for the log


def default_cluster() -> str:
    """Return the cluster that ``Q_CLUSTER`` is about.

    Not ``Conf.CLUSTER_NAME``: in a worker that is the cluster which it works for, so that a
    receiver would run here or there, depending on who saved the row.
    """
    name: str = getattr(django_settings, "Q_CLUSTER", {}).get("cluster_name") or Conf.PREFIX
    return name


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"...{name[3 - MAX_NAME :]}"


def _is_wanted(option: str, value: object) -> bool:
    if option in {"ack_failure", "save"}:
        return isinstance(value, bool)
    if option == "cached":
        return isinstance(value, bool) or _is_whole(value)
    if option == "timeout":
        return _is_whole(value)
    if option == "hook":
        return isinstance(value, str) and "." in value and len(value) <= MAX_HOOK
    return _is_name(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME
