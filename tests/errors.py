"""An exception whose text cannot be made, as a project may have one."""

from __future__ import annotations


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


UNSAYABLE = "Unsayable: (its text cannot be made: RuntimeError)"
