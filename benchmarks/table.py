"""What is compared, and what has to be reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One comparison on one database and one broker: a process of its own."""

    comparison: str  # a module of benchmarks.comparisons
    database: str = "sqlite"
    broker: str = ""
    needs: str = ""  # a module that may not be installed

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers without which the run is skipped."""
        names = (self.database, self.broker)
        return tuple(name for name in names if name not in ("", "sqlite"))


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and its target: at most this ratio (or this number, if there is a unit)."""

    run: Run
    figure: str
    what: str
    target: float | None = None
    unit: str = "x"

    @property
    def name(self) -> str:
        """What the row is known by in the results."""
        run = self.run
        return ".".join(filter(None, (run.comparison, self.figure, run.database, run.broker)))

    def is_held(self, value: float) -> bool | None:
        """Tell whether the target is reached; None where there is none."""
        return None if self.target is None else value <= self.target


PLAIN_SEND = Run("plain_send")
ON_COMMIT = Run("on_commit")
TASK_REDIS, TASK_RABBITMQ = Run("task", broker="redis"), Run("task", broker="rabbitmq")
BATCH_REDIS, BATCH_RABBITMQ = Run("batch", broker="redis"), Run("batch", broker="rabbitmq")
END_TO_END = Run("end_to_end", broker="redis")
OUTBOX = Run("outbox", "postgresql", "redis")
OUTBOX_RELAY_REDIS = Run("outbox_relay", "postgresql", "redis")
OUTBOX_RELAY_RABBITMQ = Run("outbox_relay", "postgresql", "rabbitmq")
OUTBOX_OUTAGE = Run("outbox_outage", "postgresql")
QUEUES = Run("queues", broker="redis", needs="django_rq")

# "1.0" is a target that no measurement can meet to the digit: this much is noise.
SAME = 1.03

ROWS = (
    Row(PLAIN_SEND, "untouched", "`send` to a plain receiver, signals_plus installed and in use",
        SAME),
    Row(PLAIN_SEND, "hooked", "the same, once a mute has touched the signal", 1.10),
    Row(PLAIN_SEND, "prioritized", "the same, another of its receivers having a priority", 1.10),
    Row(ON_COMMIT, "one", "`receiver_on_commit`, one event in its own transaction", 1.3),
    Row(ON_COMMIT, "hundred", "the same, 100 events in one transaction", 1.3),
    Row(Run("save"), "save", "the same, within `Model.save()`, SQLite", 1.03),
    Row(Run("save", "postgresql"), "save", "the same, PostgreSQL", 1.03),
    Row(TASK_REDIS, "one", "`receiver_task`, one event in its own transaction, Redis", 1.10),
    Row(TASK_REDIS, "thousand", "1,000 task events in one transaction, not batched, Redis", 0.35),
    Row(BATCH_REDIS, "publishing",
        "`batch=True`, 10,000 events, 1,000 a message: publishing alone, Redis", 1 / 200),
    Row(BATCH_RABBITMQ, "publishing", "the same, RabbitMQ", 1 / 200),
    Row(BATCH_REDIS, "together", "signals, collecting and publishing together, Redis", 1 / 60),
    Row(BATCH_RABBITMQ, "together", "the same, RabbitMQ", 1 / 60),
    Row(END_TO_END, "batched",
        "10,000 rows batched, until a prefork worker has loaded and handled all, Redis", 1 / 100),
    Row(Run("growth"), "on_commit", "growth of the time per event over 10², 10³, 10⁴, 10⁵ "
        "events in one transaction", 1.2),
    Row(Run("growth"), "batched", "the same with `batch=True`", 1.2),
    Row(Run("savepoint"), "rollback", "rollback of a savepoint, 100,000 events pending", 1 / 20),
    Row(Run("memory"), "task", "memory per pending batched task event, without its instance",
        250, "bytes"),
    Row(Run("mute"), "send", "`send` to one receiver while muted", 0.6),
    Row(Run("guard"), "flag", "`recursion_guard`, one call, against a flag on the instance", 10),
    Row(Run("guard"), "reconnect", "the same, against disconnecting and connecting again", 1 / 8),
    Row(OUTBOX, "effect", "a save and its task with `durable=True`, in a transaction of its own, "
        "PostgreSQL and Redis", 1.3),
    Row(OUTBOX, "publish", 'the same with `durable="publish"`', 1.6),
    Row(OUTBOX, "thousand", "writing the 1,000 messages of one transaction, against the saves that "
        "caused them, PostgreSQL", 0.15),
    Row(Run("outbox_claim", "postgresql"), "pinned", "the relay's claim of 100 messages while an "
        "old snapshot pins 60,000 that are done, against a clean table, PostgreSQL", 5),
    Row(OUTBOX_RELAY_REDIS, "effect", "relay, a message of `durable=True`, Redis", 250, "µs"),
    Row(OUTBOX_RELAY_RABBITMQ, "effect", "the same, RabbitMQ, which confirms", 1000, "µs"),
    Row(OUTBOX_RELAY_REDIS, "backlog", "the same while 50,000 more are due, Redis", 250, "µs"),
    Row(OUTBOX_RELAY_REDIS, "publish", 'the same, `durable="publish"`, Redis', unit="µs"),
    Row(OUTBOX_RELAY_RABBITMQ, "publish", "the same, RabbitMQ, which confirms", unit="µs"),
    Row(OUTBOX_OUTAGE, "refused", "a save with `durable=True` when the broker refuses, Redis",
        1000, "ms"),
    Row(OUTBOX_OUTAGE, "hung", "the same when it does not answer", 1000, "ms"),
    Row(Run("importing"), "package", "`import signals_plus`, of importing Django and Celery", 0.05),
)  # fmt: skip

PEERS = (
    Row(PLAIN_SEND, "receiver",
        "`receiver`, with its conditions and its guard, against Django's own"),
    Row(ON_COMMIT, "bare", "`receiver_on_commit`, 100 events in one transaction, against "
        "`on_commit(lambda: ...)`: no snapshot, nothing caught"),
    Row(Run("peer_lifecycle", needs="django_lifecycle"), "save", "a save with `receiver_on_commit` "
        "against one with django-lifecycle's `@hook(AFTER_SAVE, on_commit=True)`"),
    Row(TASK_REDIS, "delay_on_commit", "`receiver_task`, one event in its own transaction, against "
        "Celery's `delay_on_commit`, Redis"),
    Row(Run("peer_celery_signals", broker="redis", needs="celery_signals"), "send",
        "the same for a custom signal, against celery-signal-receivers, which does not wait for "
        "the commit, Redis"),
    Row(TASK_RABBITMQ, "one", "`receiver_task`, one event in its own transaction, against "
        "`on_commit(lambda: task.delay(pk))`, which does not wait for RabbitMQ's confirmation"),
    Row(Run("task_confirmed", broker="rabbitmq"), "one",
        "the same, against one that waits for it (`confirm_publish`)"),
    Row(TASK_RABBITMQ, "thousand", "1,000 task events in one transaction, not batched, against one "
        "unconfirmed `delay` each, RabbitMQ"),
    Row(END_TO_END, "chunked", "10,000 rows batched, until a worker has handled all, against "
        "chunks and `in_bulk` by hand, Redis"),
    Row(Run("peer_factory_boy", needs="factory"), "block",
        "to mute, send once and end the mute, against factory_boy's"),
    Row(Run("peer_factory_boy", needs="factory"), "send",
        "`send` while muted, against factory_boy's"),
    Row(QUEUES, "rq", "`receiver_task`, one event in its own transaction, by RQ on Redis, against "
        "Celery on Redis"),
    Row(QUEUES, "django_q", "the same, by Django-Q2 in the database (SQLite), against Celery on "
        "Redis"),
    Row(QUEUES, "django_tasks", "the same, by django-tasks-db in the database (SQLite), against "
        "Celery on Redis"),
    Row(QUEUES, "thread", "the same, by a thread of the process, against Celery on Redis"),
)  # fmt: skip
