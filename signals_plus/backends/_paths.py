"""W017: what a receiver names by its path, and only the worker imports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from ..exceptions import described
from .base import Task


def check_paths(
    tasks: Iterable[Task],
    paths_of: Callable[[Task], Mapping[str, str]],
    load: Callable[[str], object],
) -> list[CheckMessage]:
    """Try the paths of each task, by option, as the worker will."""
    found: list[CheckMessage] = []
    for task in tasks:
        for option, path in paths_of(task).items():
            try:
                load(path)
            except Exception as error:  # noqa: BLE001 - whatever the module raises
                found.append(_warning(task, option, path, error))
    return found


def _warning(task: Task, option: str, path: str, error: Exception) -> CheckWarning:
    return CheckWarning(
        f"Receiver {task.name!r} has {option}={path!r}, which cannot be imported here: "
        f"{described(error)}.",
        hint="Correct the path. It may be right if only workers have that module.",
        id="signals_plus.W017",
    )
