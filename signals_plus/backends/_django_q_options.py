"""What Django-Q2 is told of a receiver, and what it would take without a word."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django_q.conf import Conf

from ..exceptions import InvalidReceiverError
from .base import Task

# What the columns of Django-Q2's tables hold: characters.
MAX_NAME = 100
MAX_HOOK = 256
# What a worker can set its alarm to: 68 years.
MAX_SECONDS = 2**31 - 1

# What a receiver may give of the options of async_task(), and what each has to be. Anything else
# ends the worker process, or fails when the result is saved: the task would run for ever.
WANTED = {
    "ack_failure": "True or False",
    "cached": f"True, False or a whole number of seconds from 1 to {MAX_SECONDS}",
    "group": f"a name of at most {MAX_NAME} characters",
    "hook": f"the dotted path of a function, of at most {MAX_HOOK} characters",
    "save": "True or False",
    "timeout": f"a whole number of seconds from 1 to {MAX_SECONDS}",
}


def check(task: Task, *, repeats: bool) -> None:
    """Refuse values that Django-Q2 cannot use.

    ``repeats``: the broker hands a task out again that is not done in time.

    Raises:
        InvalidReceiverError: There is one.
    """
    for option, value in task.options.items():
        if not _is_wanted(option, value):
            raise InvalidReceiverError(
                task.name, f"has {option}={value!r}", f"It has to be {WANTED[option]}."
            )
    timeout = task.options.get("timeout", 0)
    if repeats and timeout >= Conf.RETRY:
        raise InvalidReceiverError(
            task.name,
            f'has timeout={timeout}, and Q_CLUSTER["retry"] is {Conf.RETRY}: it would be run '
            "again beside itself",
            "Raise retry, or lower the timeout.",
        )
    if task.queue_name is not None and not is_name(task.queue_name):
        raise InvalidReceiverError(
            task.name,
            f"has queue_name={task.queue_name!r}",
            f"It has to be the name of a cluster, of at most {MAX_NAME} characters.",
        )


def paths(task: Task) -> dict[str, str]:
    """Return the path that a cluster imports, by its option."""
    return {"hook": task.options["hook"]} if "hook" in task.options else {}


def of_message(task: Task) -> dict[str, Any]:
    """Return what ``async_task()`` is given as ``q_options``, which it changes."""
    name = _shortened(task.name)
    options = {"task_name": name, **task.options}
    # The admin filters by group, and nothing else names the receiver of a task that is submitted
    # there again. But of a group whose results are cached the cache keeps an endless list.
    if not task.options.get("cached", Conf.CACHED):
        options.setdefault("group", name)
    return options


def default_cluster() -> str:
    """Return the cluster that ``Q_CLUSTER`` is about.

    Not ``Conf.CLUSTER_NAME``: in a worker that is the cluster it works for, so that it would
    depend on who saves a row where its receiver runs.
    """
    name: str = getattr(django_settings, "Q_CLUSTER", {}).get("cluster_name") or Conf.PREFIX
    return name


def is_name(value: object) -> bool:
    """Tell whether a column of Django-Q2's tables holds this name."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME


def _is_wanted(option: str, value: object) -> bool:
    if option in {"ack_failure", "save"}:
        return isinstance(value, bool)
    if option == "cached":
        return isinstance(value, bool) or _is_whole(value)
    if option == "timeout":
        return _is_whole(value)
    if option == "hook":
        return isinstance(value, str) and "." in value and len(value) <= MAX_HOOK
    return is_name(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS


def _shortened(name: str) -> str:
    """Return what fits into the column; a receiver is known by the end of its name."""
    return name if len(name) <= MAX_NAME else f"...{name[3 - MAX_NAME :]}"
