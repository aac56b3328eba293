"""Fuzz the reader of payloads: ``python -m tox run -e fuzz``.

What it finds fails, and is kept in a file of its own: mend it, and put the file into ``corpus``,
which ``test_corpus.py`` reads with every run of the tests.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris
import django
from django.test.utils import setup_databases, teardown_databases

from tests.payloads.fuzz.mutating import mutated

HERE = Path(__file__).parent
DICTIONARY = HERE / "payloads.dict"


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change the JSON, three times out of four; otherwise any byte, as libFuzzer does."""
    try:
        if seed % 4:
            return mutated(data.decode(), seed).encode()[:max_size]
    except (ValueError, RecursionError):
        pass  # it was no JSON
    return bytes(atheris.Mutate(data, len(data) or 1))


def main() -> None:
    """Run libFuzzer with the options of the command line, over the corpus."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    with atheris.instrument_imports(include=["signals_plus"]):
        django.setup()
        from tests.payloads.fuzz.reading import read

    def one(data: bytes) -> None:
        read(data.decode("utf-8", "replace"))

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        # The first folder takes what is found to be new; the second is only read.
        found = HERE / "found"
        found.mkdir(exist_ok=True)
        arguments = [f"-dict={DICTIONARY}", *sys.argv[1:], str(found), str(HERE / "corpus")]
        atheris.Setup([sys.argv[0], *arguments], one, custom_mutator=mutate)
        atheris.Fuzz()
    finally:
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
