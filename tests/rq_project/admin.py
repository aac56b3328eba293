"""django-rq's pages in Django's admin. ``python -m tests.rq_project.admin KIND`` writes a list."""

from __future__ import annotations

import sys

import django
from django.test import RequestFactory
from django.urls import resolve


def page(path: str, number: int) -> str:
    """Return a page as a superuser sees it."""
    from django.contrib.auth.models import User

    request = RequestFactory().get(path, {"page": number})
    # Not saved: the receivers of the suite would see that.
    request.user = User(username="a", is_staff=True, is_superuser=True)
    match = resolve(path)
    response = match.func(request, *match.args, **match.kwargs)
    assert response.status_code == 200, response
    text: str = response.content.decode()
    return text


def main(kind: str) -> None:
    """Write the whole list of the first queue's jobs of a kind."""
    path = f"/admin/django_rq/dashboard/queues/0/{kind}/"
    number, text = 1, page(path, 1)
    while f'href="?page={number + 1}"' in text:
        number += 1
        text += page(path, number)
    sys.stdout.write(text)


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1])
