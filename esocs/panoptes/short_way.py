"""The short way of the volunteer's answer: past the middleware that pages need and this request does not.

It keeps what this one address relies on: the host and the security headers, the session, and CORS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

from esocs.panoptes.views.classify import classify

View = Callable[[HttpRequest], HttpResponseBase]


class ShortWayMiddleware:
    """The first of all middleware: sends `POST /api/classifications` the short way and everything else on."""

    def __init__(self, get_response: View) -> None:
        self._get_response = get_response
        way: Any = classify
        for layer in (XFrameOptionsMiddleware, CorsMiddleware, SessionMiddleware, SecurityMiddleware):
            way = layer(way)
        self._classify: View = way

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, by whichever way."""
        if request.path_info == "/api/classifications" and request.method == "POST":
            return self._classify(request)
        return self._get_response(request)
