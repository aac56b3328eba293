"""Every error of the package. Each text says what is wrong and then what to do.

The arguments of an error are its attributes, and the error pickles: a worker may have to store it.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured


def described(error: BaseException) -> str:
    """Return the class and the text of an error, whatever the project's own ``__str__`` does."""
    try:
        text = str(error)
    except Exception as other:  # noqa: BLE001 - the project's own method, which may do anything
        text = f"(its text cannot be made: {type(other).__name__})"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class SignalsPlusError(Exception):
    """Base class of all errors raised by ``signals_plus``."""


class SettingsError(SignalsPlusError, ImproperlyConfigured):
    """A ``SIGNALS_PLUS_*`` setting, or the project around it, cannot work as it stands."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(setting, problem)
        self.setting = setting
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.setting} {self.problem}"


class InvalidReceiverError(SignalsPlusError):
    """A decorator was given a function, a signal, a sender or an option that can never work."""

    def __init__(self, receiver: str, problem: str, remedy: str) -> None:
        super().__init__(receiver, problem, remedy)
        self.receiver = receiver
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        # It may be a block that is wrong, as mute_signals(...), and that is named as it is called.
        is_block = self.receiver.endswith(")")
        who = self.receiver if is_block else f"Receiver {self.receiver!r}"
        return f"{who} {self.problem}. {self.remedy}"


class PayloadError(SignalsPlusError):
    """An argument cannot travel to a worker, or what arrived there cannot be read."""

    def __init__(self, receiver: str, argument: str, problem: str, remedy: str = "") -> None:
        super().__init__(receiver, argument, problem, remedy)
        self.receiver = receiver
        self.argument = argument
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"Receiver {self.receiver!r}: {self.argument} {self.problem}."
        return f"{text} {self.remedy}" if self.remedy else text


class UnknownReceiverError(SignalsPlusError):
    """A message names a task receiver that this process has not registered."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return (
            f"No task receiver is named {self.name!r} in this process. Import the module that "
            "defines it when Django starts (a receivers.py of an installed app is found by "
            "itself), or keep a renamed receiver's old name with name=."
        )


class RecursionLimitError(SignalsPlusError):
    """A receiver caused itself again and was told to raise, or a chain grew too long."""

    def __init__(self, receiver: str, problem: str, chain: Sequence[str], remedy: str) -> None:
        super().__init__(receiver, problem, chain, remedy)
        self.receiver = receiver
        self.problem = problem
        self.chain = tuple(chain)
        self.remedy = remedy

    def __str__(self) -> str:
        links = " -> ".join(self.chain)
        return f"Receiver {self.receiver!r} {self.problem}: {links}. {self.remedy}"


class BackendError(SignalsPlusError):
    """A queue could not take a task, or cannot do what a receiver asks of it."""

    def __init__(self, backend: str, problem: str) -> None:
        super().__init__(backend, problem)
        self.backend = backend
        self.problem = problem

    def __str__(self) -> str:
        return f"Backend {self.backend!r} {self.problem}"


class InvalidPayloadTypeError(SignalsPlusError):
    """``payload_type`` was given a class, a name or functions that can never work."""

    def __init__(self, payload_type: str, problem: str, remedy: str) -> None:
        super().__init__(payload_type, problem, remedy)
        self.payload_type = payload_type
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"Payload type {self.payload_type} {self.problem}. {self.remedy}"
