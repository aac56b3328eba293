"""README and docs: what they show runs, and does what they say."""

from __future__ import annotations

import doctest
import functools
import inspect
import textwrap
import unittest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db.models.signals import post_save
from sybil import Document, Example, Sybil
from sybil.parsers.abstract import AbstractClearNamespaceParser
from sybil.parsers.myst import ClearNamespaceParser, PythonCodeBlockParser, SkipParser

import signals_plus

ROOT = Path(__file__).parents[2]
# The tutorial is followed in a project of its own: test_tutorial.py.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if page.name != "tutorial.md" and "_build" not in page.parts]
SYBIL = Sybil(
    [
        PythonCodeBlockParser(
            doctest_optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
        ),
        ClearNamespaceParser(),
        SkipParser(),
    ]
)

# What the README does not spend lines on.
PRELUDE = {
    "README.md": """
from contextlib import suppress
from django.core import mail
from django.core.mail import send_mail
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from shop.models import Order, Page, Product
class OutOfStock(Exception): ...
"""
}


def chapters() -> Iterator[Any]:
    """Yield each page as pytest parameters, a new one wherever it clears its namespace."""
    for page in PAGES:
        examples: list[Example] = []
        for example in SYBIL.parse(page):
            if example.region.evaluator is AbstractClearNamespaceParser.evaluate:
                yield from _chapter(page, examples)
                examples = []
            else:
                examples.append(example)
        yield from _chapter(page, examples)


def _chapter(page: Path, examples: list[Example]) -> Iterator[Any]:
    if examples:
        place = f"{page.relative_to(ROOT)}:{examples[0].line}"
        yield pytest.param(examples, id=place)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("examples", list(chapters()))
def test_page(
    examples: list[Example],
    shop_installed: None,
    eager_celery: None,
    settings: Any,
) -> None:
    """Each block of a chapter runs, in order, and prints what the page shows."""
    namespace = begin(examples)
    namespace["use_settings"] = functools.partial(_use_settings, settings)
    namespace["run_test"] = _run_test

    for example in examples:
        example.evaluate()


def begin(examples: list[Example]) -> dict[str, Any]:
    """Start a module of the name ``shop.receivers``."""
    namespace = examples[0].namespace
    namespace.clear()
    namespace["__name__"] = "shop.receivers"
    exec(PRELUDE.get(Path(examples[0].path).name, ""), namespace)
    return namespace


def _use_settings(settings: Any, **values: Any) -> None:
    """Let a page's settings be those of the project, until its end."""
    for name, value in values.items():
        setattr(settings, name, value)


def _run_test(case: type[unittest.TestCase]) -> None:
    """Run a unittest class that a page shows."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun > 0
    assert result.failures + result.errors == []


@pytest.mark.django_db(transaction=True)
def test_readme_keeps_its_word(shop_installed: None, mailoutbox: list[Any]) -> None:
    """With the decorator, the README's order that is rolled back sends no mail."""
    examples = list(SYBIL.parse(ROOT / "README.md"))
    problem, *_ = (example for example in examples if "raise OutOfStock" in str(example.parsed))
    remedy, *_ = (example for example in examples if "@receiver_on_commit" in str(example.parsed))
    order = str(problem.parsed).partition("\nwith ")[2]
    namespace = begin(examples)

    remedy.evaluate()
    exec(f"with {order}", namespace)
    assert mailoutbox == []
    exec(f"with {order}".replace("raise OutOfStock", "pass"), namespace)

    assert [message.body for message in mailoutbox] == ["Order A-17"]


def test_document_is_parsed_as_myst() -> None:
    """The parser finds what a page hides in a comment, too."""
    document = Document("<!--- invisible-code-block: python\nx = 1\n--->\n", "page.md")
    for parser in SYBIL.parsers:
        for region in parser(document):
            document.add(region)

    [example] = document

    assert example.parsed.strip() == "x = 1"


@pytest.mark.parametrize("name", signals_plus.__all__)
def test_docstring(
    name: str, shop_installed: None, eager_celery: None, transactional_db: None
) -> None:
    """The example of each public name runs."""
    docstring = inspect.getdoc(getattr(signals_plus, name)) or ""
    example = textwrap.dedent(docstring.partition("Example::\n")[2])
    namespace = {
        "__name__": "shop.receivers",
        **{public: getattr(signals_plus, public) for public in signals_plus.__all__},
        **vars(import_module("shop.models")),
        "post_save": post_save,
    }

    assert example
    exec(example, namespace)
