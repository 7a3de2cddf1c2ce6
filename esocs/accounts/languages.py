"""The visitor's language on the pages: their choice (a cookie, kept in the account), else what the browser asks for.

Only the pages speak it. The programs' door answers in English and pays nothing for languages.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers

YEAR_S = 365 * 24 * 3600


def in_visitors_language(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The view, spoken in the visitor's language."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        language = translation.get_language_from_request(request)
        with translation.override(language):
            response = view(request, *args, **kwargs)
            # A response that is rendered later would be rendered in English.
            if hasattr(response, "render") and not getattr(response, "is_rendered", True):
                response = response.render()
        if response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Language", language)
            patch_vary_headers(response, ("Accept-Language",))
        return response

    return answer


def remember_language(response: HttpResponseBase, language: str) -> None:
    """Set the cookie that the pages' language is read from."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME, language, max_age=YEAR_S, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
    )


def is_offered(language: str) -> bool:
    """Whether the pages speak it."""
    return language in dict(settings.LANGUAGES)
