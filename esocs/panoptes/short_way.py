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
from django.utils.cache import patch_vary_headers

from esocs.panoptes.views.classify import classify

View = Callable[[HttpRequest], HttpResponseBase]


class ShortWayMiddleware:
    """The first of all middleware: sends `POST /api/classifications` the short way and everything else on."""

    def __init__(self, get_response: View) -> None:
        self._get_response = get_response
        self._security = SecurityMiddleware(classify)
        self._sessions = SessionMiddleware(classify)
        self._frames = XFrameOptionsMiddleware(classify)
        way: Any = classify
        for layer in (XFrameOptionsMiddleware, CorsMiddleware, SessionMiddleware, SecurityMiddleware):
            way = layer(way)
        self._from_elsewhere: View = way

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, by whichever way."""
        if request.path_info != "/api/classifications" or request.method != "POST":
            return self._get_response(request)
        origin = request.META.get("HTTP_ORIGIN")
        if origin and origin.partition("://")[2] != request.META.get("HTTP_HOST"):
            return self._from_elsewhere(request)
        return self._directly(request)

    def _directly(self, request: HttpRequest) -> HttpResponseBase:
        """What the layers do to a request of our own page, without asking each whether it has something to do."""
        moved = self._security.process_request(request)
        if moved is not None:
            return moved
        self._sessions.process_request(request)
        response: Any = classify(request)
        # The answer to a page of another site would have other headers.
        patch_vary_headers(response, ("origin",))
        response = self._frames.process_response(request, response)
        response = self._sessions.process_response(request, response)
        secured: HttpResponseBase = self._security.process_response(request, response)
        return secured
