"""The pages' content security policy: everything comes from this site, and nothing in a page's text is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "Content-Security-Policy"


def policy(*, pictures_from: Iterable[str] = ()) -> str:
    """The header's value.

    Args:
        pictures_from: other sites (`https://host`) whose pictures a page may show besides this one's.
    """
    sources = " ".join(("'self'", "data:", "blob:", *sorted(pictures_from)))
    return (
        f"default-src 'self'; img-src {sources}; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


POLICY = policy()


def under_policy(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The view, with the policy on its HTML, unless it has set one of its own."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault(HEADER, POLICY)
        return response

    return answer
