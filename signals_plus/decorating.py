"""Blocks that decorate as well: functions, ``async def`` functions, test classes."""

from __future__ import annotations

import functools
import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FunctionType
from typing import Any, TypeVar, cast

from . import calling
from .exceptions import InvalidReceiverError

T = TypeVar("T")


class BlockDecorator(ABC):
    """A block that can be put around every call of a function, or every test of a class."""

    #: What messages call it.
    described: str

    @abstractmethod
    def _copy(self) -> AbstractContextManager[Any]:
        """Return a new block that does the same."""

    async def _await_inside(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Await the function inside a new block."""
        with self._copy():
            return await function(*args, **kwargs)

    def __call__(self, decorated: T) -> T:
        """Put a block of its own around each run of a function or test class."""
        if isinstance(decorated, type):
            self._decorate_class(decorated)
            return decorated
        return cast(T, self._decorate_function(decorated))

    def _decorate_function(self, function: Any) -> Any:
        if isinstance(function, classmethod | staticmethod):
            return type(function)(self._decorate_function(function.__func__))
        if not callable(function):
            raise InvalidReceiverError(
                self.described,
                f"decorates {function!r}, which cannot be called",
                "Decorate a function, a test class or a factory.",
            )
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise InvalidReceiverError(
                self.described,
                f"decorates the generator function {function.__qualname__}",
                f"Write the block inside it, around its yield: with {self.described}.",
            )
        if calling.is_async(function):

            @functools.wraps(function)
            async def inside(*args: Any, **kwargs: Any) -> Any:
                return await self._await_inside(function, args, kwargs)

        else:

            @functools.wraps(function)
            def inside(*args: Any, **kwargs: Any) -> Any:
                with self._copy():
                    return function(*args, **kwargs)

        return inside

    def _decorate_class(self, decorated: type) -> None:
        if _is_unittest_class(decorated):
            self._decorate_unittest_class(decorated)
        else:
            self._decorate_pytest_class(decorated)

    def _decorate_pytest_class(self, decorated: type) -> None:
        # Inherited tests too. A fixture called test_something is no function. The set-up methods
        # stay as they are: pytest reads from their code how many arguments they take.
        tests = {
            name: member
            for name in dir(decorated)
            if name.startswith("test")
            and isinstance(
                member := inspect.getattr_static(decorated, name),
                FunctionType | classmethod | staticmethod,
            )
        }
        if not tests:
            raise InvalidReceiverError(
                self.described,
                f"decorates the class {decorated.__qualname__}, which has no test methods",
                "Decorate test classes, factories, or the methods themselves.",
            )
        for name, member in tests.items():
            setattr(decorated, name, self._decorate_function(member))

    def _decorate_unittest_class(self, decorated: Any) -> None:
        set_up = decorated.setUp

        def setUp(test: Any) -> None:
            test.enterContext(self._copy())
            set_up(test)

        decorated.setUp = setUp


def _is_unittest_class(decorated: type) -> bool:
    unittest = sys.modules.get("unittest")  # not imported here: it takes as long as this package
    return unittest is not None and issubclass(decorated, unittest.TestCase)
