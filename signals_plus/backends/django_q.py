"""Django-Q2: each message is one of its tasks, under the name of the receiver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django_q.conf import Conf
from django_q.tasks import async_task

from ..exceptions import BackendError, SettingsError
from . import _django_q_options
from ._at_once import run_all
from ._django_q_brokers import Broker, LibraryBroker, Message, OrmBroker
from ._publishing import Turns, is_duration
from .base import BaseBackend, Refused, Task

RUN_TASK = "signals_plus.backends.base.run_task"


class DjangoQBackend(BaseBackend):
    """Run task receivers in the clusters of Django-Q2 (``manage.py qcluster``).

    The broker is that of ``Q_CLUSTER``, and what it cannot do, this cannot. ``run_after`` needs
    the ORM broker. A task that failed is gone with Redis; the other brokers hand it out again
    every ``Q_CLUSTER["retry"]`` seconds until it has had ``max_attempts``, unless its receiver or
    ``Q_CLUSTER`` says otherwise (``ack_failure``, ``ack_failures``).

    ``OPTIONS``:

    - ``cluster``: the cluster for receivers without a ``queue_name``. Default: the one that
      ``Q_CLUSTER`` names.
    - ``publish_timeout``: seconds (default 1.0) that one step of reaching Redis may take: to
      connect, to write or to wait for the answer. A request waits for at most two such steps for
      a server that does not answer. Databases and other brokers have limits of their own.
    - ``enqueue_in_transaction``: True, with the ORM broker only: a task is a row of the
      transaction in which its signal was sent, and comes and goes with it. Default: False, a task
      is written after the commit.
    """

    supports_queue_name = True
    supports_run_after = True
    supports_retries = True
    option_names = frozenset(_django_q_options.WANTED)

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self.cluster = options.get("cluster", _django_q_options.default_cluster())
        self.publish_timeout = options.get("publish_timeout", 1.0)
        self.enqueue_in_transaction = options.get("enqueue_in_transaction", False)
        self._check_options()
        self._broker = self._build_broker()
        self._turns = self._new_turns()
        self.supports_run_after = self._broker.can_wait
        if self._broker.repeats is False:
            self.supports_retries = False
            self.option_names = self.option_names - {"ack_failure"}

    @property
    def transaction_alias(self) -> str | None:
        return Conf.ORM if self.enqueue_in_transaction else None

    def refuse_unsupported(self, task: Task) -> None:
        super().refuse_unsupported(task)
        _django_q_options.check(task)

    def enqueue(self, task: Task, payload: str) -> None:
        for refused in self.enqueue_many([(task, payload)]):
            raise refused.error

    def enqueue_many(self, messages: Sequence[tuple[Task, str]]) -> list[Refused]:
        if Conf.SYNC:
            run_all(messages, self._message)
            return []
        refused, outgoing = [], []
        for task, payload in messages:
            try:
                outgoing.append(self._message(task, payload))
            except Exception as error:  # noqa: BLE001 - as of a receiver of Django-Q2's pre_enqueue
                refused.append(self._refused(task, payload, error))
        turns = self._turns if self._broker.has_turns else self._new_turns()
        for part in self._broker.parts(outgoing):
            error = turns.attempt(lambda part=part: self._broker.write(part))  # type: ignore[misc]
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
                    "inside the request, which their errors end.",
                    hint="Leave it out outside of DEBUG and tests, and run manage.py qcluster.",
                    id="signals_plus.W010",
                )
            )
        elif self._broker.repeats and not Conf.MAX_ATTEMPTS and not Conf.ACK_FAILURES:
            found.append(
                CheckWarning(
                    "Receivers are tasks of Django-Q2, which runs one that fails again every "
                    f"{Conf.RETRY} s, for ever.",
                    hint='Set Q_CLUSTER["max_attempts"]; or Q_CLUSTER["ack_failures"] = True, and '
                    "give ack_failure=False to the receivers that are to be run again.",
                    id="signals_plus.W011",
                )
            )
        return found

    def _message(self, task: Task, payload: str) -> Message:
        """Let Django-Q2 make the message. See Note [Writing messages ourselves]."""
        cluster = task.queue_name or self.cluster
        keeper = _Keeper(task.name, cluster)
        options = _django_q_options.of_message(task)
        options |= {"cluster": cluster, "broker": keeper}
        # Positional: async_task() takes many keywords for itself.
        async_task(RUN_TASK, task.name, payload, q_options=options)
        return Message(task, payload, cluster, keeper.signed)

    def _refused(self, task: Task, payload: str, cause: Exception) -> Refused:
        # Not its repr: redis-py's says no more than "server:ResponseError".
        error = BackendError(self.alias, f"could not enqueue: {type(cause).__name__}: {cause}")
        error.__cause__ = cause
        return Refused(task, payload, error)

    def _new_turns(self) -> Turns:
        return Turns(self.publish_timeout, self._broker.is_failure)

    def _build_broker(self) -> Broker:
        # In the order of django_q.brokers.get_broker().
        if Conf.BROKER_CLASS:
            broker: Broker = LibraryBroker(self.publish_timeout, repeats=None)
        elif Conf.IRON_MQ or isinstance(Conf.SQS, dict):
            broker = LibraryBroker(self.publish_timeout, repeats=True)
        elif Conf.ORM:
            return OrmBroker(Conf.ORM, joins=self.enqueue_in_transaction)
        elif Conf.MONGO:
            broker = LibraryBroker(self.publish_timeout, repeats=True)
        else:
            broker = self._build_redis_broker()
        if self.enqueue_in_transaction:
            raise self._settings_error(
                "enqueue_in_transaction, but the broker of Q_CLUSTER does not write into the "
                "project's database. Only the ORM broker does"
            )
        return broker

    def _build_redis_broker(self) -> Broker:
        try:
            # Not before it is needed: the other brokers do without redis-py.
            from ._django_q_redis import RedisBroker  # noqa: PLC0415
        except ImportError as error:
            raise SettingsError(
                "Q_CLUSTER",
                f"asks for Redis, as it does where it names no broker ({error}). Install redis, "
                'or name another broker, such as "orm": "default".',
            ) from error
        return RedisBroker(self.publish_timeout)

    def _check_options(self) -> None:
        known = {"cluster", "publish_timeout", "enqueue_in_transaction"}
        if unknown := self.options.keys() - known:
            raise self._settings_error(f"unknown options: {', '.join(sorted(unknown))}")
        if not _django_q_options.is_name(self.cluster):
            raise self._settings_error(f"cluster={self.cluster!r}, which is no cluster's name")
        if not is_duration(self.publish_timeout):
            raise self._settings_error(
                f"publish_timeout={self.publish_timeout!r}, which is no number of seconds above 0"
            )
        if not isinstance(self.enqueue_in_transaction, bool):
            raise self._settings_error(
                f"enqueue_in_transaction={self.enqueue_in_transaction!r}, which is neither True "
                "nor False"
            )

    def _settings_error(self, problem: str) -> SettingsError:
        return SettingsError(
            "SIGNALS_PLUS_BACKENDS",
            f"gives {self.alias!r} {problem}. It takes cluster, publish_timeout and "
            "enqueue_in_transaction.",
        )


class _Keeper:
    """Stands for a broker of Django-Q2, and keeps the one message that it is given."""

    def __init__(self, name: str, cluster: str) -> None:
        self.name = name
        self.list_key = cluster
        self.signed = ""

    def enqueue(self, signed: str) -> str:
        self.signed = signed
        return self.name  # for Django-Q2's log
