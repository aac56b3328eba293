"""Django-Q2: each message is one of its tasks, under the name of the receiver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.db import transaction
from django.utils.module_loading import import_string
from django_q.conf import Conf
from django_q.tasks import async_task

from ..exceptions import BackendError, SettingsError, described
from . import _django_q_options, _own_rows, _redis_checks
from ._at_once import run_all
from ._django_q_brokers import Broker, LibraryBroker, Message, OrmBroker
from ._options import Options
from ._paths import check_paths
from ._publishing import BrokerNotAskedError, Turns
from ._unusable import unusable
from .base import BaseBackend, Refused, Task

RUN_TASK = "signals_plus.backends.base.run_task"


# Of Q_CLUSTER, in the order in which Django-Q2 looks.
BROKERS = ("broker_class", "iron_mq", "sqs", "orm", "mongo", "redis")


class DjangoQBackend(BaseBackend):
    """Run task receivers in the clusters of Django-Q2 (``manage.py qcluster``).

    The broker is that of ``Q_CLUSTER``, and what it cannot do, this cannot. ``run_after`` needs
    the ORM broker. A task that failed is gone with Redis; the other brokers hand it out again
    every ``Q_CLUSTER["retry"]`` seconds until it has had ``max_attempts``, unless its receiver or
    ``Q_CLUSTER`` says otherwise (``ack_failure``, ``ack_failures``).

    ``OPTIONS``:

    - ``cluster``: the cluster for receivers without a ``queue_name``. Default: the one that
      ``Q_CLUSTER`` names.
    - ``publish_timeout``: seconds (default 1.0) that a request waits for a Redis that does not
      answer: half of that to connect, half for the answer. Databases and other brokers have
      limits of their own.
    - ``enqueue_in_transaction``: True, with the ORM broker only: a task is a row of the
      transaction in which its signal was sent, and comes and goes with it. Default: False, a task
      is written after the commit.
    """

    supports_queue_name = True
    supports_run_after = True
    supports_retries = True
    required_app = "django_q"
    option_names = frozenset(_django_q_options.WANTED)

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        given = Options(alias, options, "cluster", "publish_timeout", "enqueue_in_transaction")
        self.cluster = given.name(
            "cluster",
            default=_django_q_options.default_cluster(),
            longest=_django_q_options.MAX_NAME,
        )
        self.publish_timeout = given.timeout("publish_timeout", default=1.0)
        self.enqueue_in_transaction = given.flag("enqueue_in_transaction", default=False)
        self._registered: dict[str, Task] = {}
        self._broker = self._build_broker(given)
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
        _django_q_options.check(task, repeats=bool(self._broker.repeats))

    def register(self, task: Task) -> None:
        self._registered[task.name] = task
        super().register(task)

    def enqueue(self, task: Task, payload: str) -> None:
        if Conf.SYNC and self.enqueue_in_transaction:
            run = partial(run_all, [(task, payload)], self._message)
            transaction.on_commit(run, using=self.transaction_alias)
            return
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
                refused.append(Refused(task, payload, self._error(error), is_objection=True))
        turns = self._turns if self._broker.has_turns else self._new_turns()
        for part in self._broker.parts(outgoing):
            refused += self._write(part, turns)
        return refused

    def check(self) -> list[CheckMessage]:
        """W006, W017 and E009 always, W010 and W011 outside of DEBUG."""
        found = _own_rows.check("django_q", self._broker.models, self._registered.values())
        found += check_paths(self._registered.values(), _django_q_options.paths, import_string)
        if not Conf.SYNC:
            found += self._check_broker()
        if django_settings.DEBUG:
            return found
        if Conf.SYNC:
            found.append(
                CheckWarning(
                    'Receivers are tasks of Django-Q2, but Q_CLUSTER["sync"] is on: they run '
                    "inside the request, which their errors end.",
                    hint="Leave it out outside of DEBUG and tests, and run manage.py qcluster.",
                    id="signals_plus.W010",
                )
            )
        elif self._broker.repeats and (names := self._names_without_end()):
            found.append(
                CheckWarning(
                    f"Django-Q2 runs these receivers again every {Conf.RETRY} s, for ever, if they "
                    f"fail: {', '.join(names)}.",
                    hint='Set Q_CLUSTER["max_attempts"], which does not count the runs of a '
                    "receiver with cached=; or give ack_failure=True to those that are to be run "
                    'once, Q_CLUSTER["ack_failures"] = True to all.',
                    id="signals_plus.W011",
                )
            )
        return found

    def check_publish(self, names: Sequence[str]) -> list[CheckMessage]:
        return _redis_checks.check_publish(self.alias, names) if self._broker.is_redis else []

    def _check_broker(self) -> list[CheckMessage]:
        try:
            self._broker.prepare()
        except Exception as error:  # noqa: BLE001 - of a client, or of the project's own class
            hint = f"Correct Q_CLUSTER: {', '.join(BROKERS)} say which it is."
            return [unusable("The broker of Q_CLUSTER", error, hint)]
        return []

    def _names_without_end(self) -> list[str]:
        # Attempts are counted in the row of a result, which cached ones do not have.
        return sorted(
            task.name
            for task in self._registered.values()
            if not task.options.get("ack_failure", Conf.ACK_FAILURES)
            and (not Conf.MAX_ATTEMPTS or task.options.get("cached", Conf.CACHED))
        )

    def _message(self, task: Task, payload: str) -> Message:
        """Let Django-Q2 make the message. See Note [Writing messages ourselves]."""
        cluster = task.queue_name or self.cluster
        keeper = _Keeper(task.name, cluster)
        options = _django_q_options.of_message(task)
        options |= {"cluster": cluster, "broker": keeper}
        # Positional: async_task() takes many keywords for itself.
        async_task(RUN_TASK, task.name, payload, q_options=options)
        return Message(task, payload, cluster, keeper.signed)

    def _write(self, part: Sequence[Message], turns: Turns) -> list[Refused]:
        error = turns.attempt(lambda: self._broker.write(part))
        if error is None:
            return []
        was_asked = not isinstance(error, BrokerNotAskedError)
        is_of_queue = was_asked and not self._broker.is_failure(error)
        if len(part) > 1 and is_of_queue:
            # It took nothing, and may object to just one of them.
            return [refused for each in part for refused in self._write([each], turns)]
        return [
            Refused(each.task, each.payload, self._error(error), is_of_queue=is_of_queue)
            for each in part
        ]

    def _error(self, cause: Exception) -> BackendError:
        error = BackendError(self.alias, f"could not enqueue: {described(cause)}")
        error.__cause__ = cause
        return error

    def _new_turns(self) -> Turns:
        return Turns(self.publish_timeout, self._broker.is_failure)

    def _build_broker(self, given: Options) -> Broker:
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
            raise given.error(
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


class _Keeper:
    """Stands for a broker of Django-Q2, and keeps the one message that it is given."""

    def __init__(self, name: str, cluster: str) -> None:
        self.name = name
        self.list_key = cluster
        self.signed = ""

    def enqueue(self, signed: str) -> str:
        self.signed = signed
        return self.name  # for Django-Q2's log
