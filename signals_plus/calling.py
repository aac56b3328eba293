"""Call any receiver from synchronous code, ``async def`` ones too."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db import connections


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether calling the function gives a coroutine, callable objects included."""
    while isinstance(function, functools.partial):
        function = function.func
    return iscoroutinefunction(function) or iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is asked about
    )


def synchronous(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function itself, or for an ``async def`` one a synchronous way to run it."""
    if not is_async(function):
        return function

    async def awaited(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    def run(*args: Any, **kwargs: Any) -> Any:
        return outside_of_the_loop(async_to_sync(awaited), *args, **kwargs)

    return run


def outside_of_the_loop(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call the function; in another thread, while this one waits, if a loop runs in this one.

    That is a synchronous ``send()`` inside async code. Neither ``async_to_sync`` nor the database
    can be used in such a thread.
    """
    if not _loop_runs_here():
        return function(*args, **kwargs)
    context = copy_context()
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(context.run, _run_and_close, function, args, kwargs).result()


def _loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_and_close(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    finally:
        connections.close_all()
