"""What the helpers have in common: how they begin and end, and for whom they are there."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from asgiref.sync import sync_to_async

from .. import contexts
from ..decorating import BlockDecorator

# Helpers may be shared by threads, and those of all threads are.
lock = threading.RLock()


class Visit:
    """One time that a helper is on. What inherited it may outlive it."""

    def __init__(self, helper: Any) -> None:
        self.helper = helper
        self.is_over = False


HelperT = TypeVar("HelperT")


class Scope(Generic[HelperT]):
    """The helpers of one kind that are on, in this context and in all threads.

    Not one of ``contexts.own``: what a task does that a test enqueued belongs to the test.
    """

    def __init__(self, name: str) -> None:
        nobody: tuple[Visit, ...] = ()
        self._here = contexts.shared(name, nobody)
        self._everywhere: tuple[Visit, ...] = ()

    def __iter__(self) -> Iterator[HelperT]:
        """Yield each of them once, the one that was begun last at last."""
        visits = reversed((*self._everywhere, *self._here.get()))
        return reversed(dict.fromkeys(visit.helper for visit in visits if not visit.is_over))

    def add(self, visit: Visit) -> None:
        if visit.helper.all_threads:
            self._everywhere = (*_not_over(self._everywhere), visit)
        else:
            self._here.set((*_not_over(self._here.get()), visit))

    def newest(self, visits: Sequence[Visit]) -> Visit:
        """Return which of these ends now."""
        return contexts.newest(visits, self._here.get())

    def end(self, visit: Visit) -> None:
        # Contexts that inherited it, and the one it was begun in, keep the object. No token of the
        # ContextVar: a block may end in another context than it began in.
        visit.is_over = True
        self._everywhere = _not_over(self._everywhere)
        self._here.set(_not_over(self._here.get()))


def _not_over(visits: Iterable[Visit]) -> tuple[Visit, ...]:
    return tuple(visit for visit in visits if not visit.is_over)


class Helper(BlockDecorator):
    """A block that is left as it was found, however and wherever it is left."""

    scope: Scope[Any]
    all_threads = False

    def __init__(self) -> None:
        # What the block is for begins with the first visit and ends with the last one, whichever
        # threads and tasks they belong to.
        self._begun: list[Visit] = []
        self._visits: list[Visit] = []
        self._lock = threading.RLock()

    def __deepcopy__(self, memo: dict[int, Any]) -> Helper:
        """Give a test its own of what ``setUpTestData`` has kept, as Django does with rows."""
        if self.is_on:
            return self
        copied = self._copy()
        copied._remember(self, memo)
        return copied

    def _forget(self) -> None:
        """Forget what an earlier block has kept."""

    def _remember(self, other: Any, memo: dict[int, Any]) -> None:
        """Keep a copy of what another one has kept."""

    @abstractmethod
    def _begin(self) -> None:
        """Start what the block is for. Whatever fails here has to undo its own part."""

    @abstractmethod
    def _end(self, error: BaseException | None) -> None:
        """Undo all of it; raise what the test should know."""

    @property
    def is_on(self) -> bool:
        """Whether the block has begun and not ended."""
        return bool(self._begun)

    def __enter__(self) -> Self:
        visit = Visit(self)
        self._join(visit)
        self._enter_scope(visit)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._part(self._leave_scope(), error)

    async def __aenter__(self) -> Self:
        """Begin, in the thread that has the database connections of async code."""
        visit = Visit(self)
        try:
            await _to_its_end(self._join, visit)
        except asyncio.CancelledError:
            await _to_its_end(self._part, visit, None)
            raise
        self._enter_scope(visit)
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        await _to_its_end(self._part, self._leave_scope(), error)

    @contextmanager
    def _resumed(self) -> Iterator[None]:
        """Go on, although the block has ended."""
        visit = Visit(self)
        self._join(visit, anew=False)
        self._enter_scope(visit)
        with ExitStack() as stack:
            stack.push(lambda _, error, __: self._part(self._leave_scope(), error))
            yield

    def _join(self, visit: Visit, *, anew: bool = True) -> None:
        with self._lock:
            if visit in self._begun:
                return  # asked for again, as the loop ended before it had the answer
            if not self._begun:
                if anew:
                    self._forget()
                self._begin()
            self._begun.append(visit)

    def _part(self, visit: Visit, error: BaseException | None) -> None:
        with self._lock:
            if visit not in self._begun:
                return  # its task was cancelled before the thread of the database came to it
            self._begun.remove(visit)
            if not self._begun:
                self._end(error)

    def _enter_scope(self, visit: Visit) -> None:
        with lock:
            self._visits.append(visit)
            self.scope.add(visit)

    def _leave_scope(self) -> Visit:
        with lock:
            visit = self.scope.newest(self._visits)
            self._visits.remove(visit)
            self.scope.end(visit)
        return visit

    async def _await_inside(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        async with self._copy():
            return await function(*args, **kwargs)

    @abstractmethod
    def _copy(self) -> Helper: ...


async def _to_its_end(function: Callable[..., None], *args: Any) -> None:
    """Call a function in the thread of the database, to its end even if the task is cancelled.

    It may be called twice: a loop that ends cancels every task, that of the call too.
    """
    call = asyncio.ensure_future(sync_to_async(function)(*args))
    is_cancelled = False
    while not call.done():
        try:
            await asyncio.shield(call)
        except asyncio.CancelledError:
            is_cancelled = True
        except Exception:  # noqa: BLE001, S110 - raised below
            pass
        if call.cancelled():
            call = asyncio.ensure_future(sync_to_async(function)(*args))
    call.result()
    if is_cancelled:
        raise asyncio.CancelledError
