"""What RQ could not do with a receiver's options, or would take and stumble over in the worker."""

from __future__ import annotations

import builtins
from datetime import timedelta

from redis import Redis
from rq import Callback, Queue
from rq.job import Job
from rq.utils import parse_timeout

from ..exceptions import InvalidReceiverError, SettingsError, described
from ._rq_queues import open_pipeline, put
from .base import Task

CALLBACKS = frozenset({"on_failure", "on_stopped", "on_success"})
OF_SECONDS = frozenset({"failure_ttl", "job_timeout", "result_ttl", "ttl"})

# What a worker can set its alarm to, and Redis keeps a key for.
MAX_SECONDS = 2**31 - 1
AT_MOST = f"at most {MAX_SECONDS} seconds, which are 68 years"


def check(task: Task, queue_name: str) -> None:
    """Refuse what would be found out after the commit, or by the worker, which it might end.

    Raises:
        InvalidReceiverError: There is something.
        SettingsError: The queue cannot be made.
    """
    try:
        queue = open_pipeline(queue_name, Redis(), (5, 0, 0))  # never executed: nobody is asked
    except Exception as error:  # of a serializer, which may be the project's, or a time
        problem = f"cannot be used: {described(error)}. Correct its SERIALIZER or DEFAULT_TIMEOUT."
        raise SettingsError(f"RQ_QUEUES[{queue_name!r}]", problem) from error
    try:
        _make_job(task, queue)
    except Exception as error:  # whatever RQ, or the queue's serializer, makes of them
        raise InvalidReceiverError(
            task.name,
            f"has options of which RQ cannot make a job: {described(error)}",
            "Give retry= a rq.Retry, on_failure= and the like a rq.Callback, and meta= what the "
            "queue's serializer can write.",
        ) from error
    _refuse_callbacks(task)
    _refuse_times(task)
    _refuse_never(task)


def _make_job(task: Task, queue: Queue) -> None:
    """Make a job, and read it as a worker would."""
    # One that is scheduled, since a queue whose ASYNC is off would run it.
    made = put(queue, task._replace(run_after=timedelta()), "", queue.connection)
    encode = queue.connection.get_encoder().encode
    written = {encode(key): encode(value) for key, value in made.to_dict().items()}
    Job(made.id, queue.connection, queue.serializer).restore(written)


def paths(task: Task) -> dict[str, str]:
    """Return the paths of callbacks, by option."""
    return {option: callback.name for option, callback in _callbacks(task).items()}


def _callbacks(task: Task) -> dict[str, Callback]:
    given = {name: task.options[name] for name in CALLBACKS if task.options.get(name)}
    # RQ still takes a function, or its path, by itself.
    return {
        name: callback if isinstance(callback, Callback) else Callback(callback)
        for name, callback in given.items()
    }


def _refuse_callbacks(task: Task) -> None:
    for option, callback in _callbacks(task).items():
        if not (_may_be_found(callback.name) and callback.timeout <= MAX_SECONDS):
            raise InvalidReceiverError(
                task.name,
                f"has {option}={callback.name!r}, with {callback.timeout} s",
                "Give the rq.Callback a function at module level, or its dotted path, and "
                f"{AT_MOST}: the worker would not call it, and the job fail.",
            )


def _may_be_found(path: str) -> bool:
    # It is not imported: its module may be the one that connects the receiver.
    return "<" not in path and ("." in path or hasattr(builtins, path))


def _refuse_times(task: Task) -> None:
    for option in OF_SECONDS & task.options.keys():
        value = task.options[option]
        if (parse_timeout(value) or 0) > MAX_SECONDS:
            raise InvalidReceiverError(
                task.name,
                f"has {option}={value!r}",
                f"It may have {AT_MOST}; -1 stands for no limit, of ttl= None.",
            )
    retry = task.options.get("retry")
    if not retry:
        return
    if not retry.intervals or not all(0 <= each <= MAX_SECONDS for each in retry.intervals):
        raise InvalidReceiverError(
            task.name, f"has retry={retry!r}", f"It needs an interval, and each has {AT_MOST}."
        )


def _refuse_never(task: Task) -> None:
    ttl = parse_timeout(task.options.get("ttl"))
    if ttl and task.run_after and 0 < ttl <= task.run_after.total_seconds():
        raise InvalidReceiverError(
            task.name,
            f"has ttl={task.options['ttl']!r}, and a run_after of "
            f"{task.run_after.total_seconds():g} s: the job would be gone before it is due",
            "Both count from the commit: raise the ttl=, or let it wait for less.",
        )
