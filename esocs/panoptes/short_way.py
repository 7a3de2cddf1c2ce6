"""The short way of the volunteer's answer: past what pages need before and around a view and this request does not.

It keeps what this one address relies on: the host and the security headers, the session, and CORS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from corsheaders.middleware import CorsMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.log import log_response

from esocs.panoptes.views.classify import classify

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

View = Callable[[HttpRequest], HttpResponseBase]
Headers = list[tuple[str, str]]

ADDRESS = "/api/classifications"


class ShortWay:
    """What the layers around a view do to a request of our own page, without asking each whether it has to."""

    def __init__(self) -> None:
        self._security = SecurityMiddleware(classify)
        self._sessions = SessionMiddleware(classify)
        self._frames = XFrameOptionsMiddleware(classify)
        self._guards: dict[bool, Headers] = {}

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """The view's answer, with the session's cookie; `guards_of` the request belong to it."""
        moved = self._security.process_request(request)
        if moved is not None:
            return moved
        self._sessions.process_request(request)
        response = classify(request)
        # The answer to a page of another site would have other headers.
        response.headers["Vary"] = "origin"
        # A seal spares the session; untouched, it has nothing to say.
        if request.session.accessed:
            response = self._sessions.process_response(request, response)
        return response

    def guards_of(self, request: HttpRequest) -> Headers:
        """The security headers, the same for every answer over the same protocol."""
        secure = request.is_secure()
        if secure not in self._guards:
            empty = HttpResponse()
            del empty["Content-Type"]
            guarded: Any = self._frames.process_response(request, empty)
            self._guards[secure] = list(self._security.process_response(request, guarded).items())
        return self._guards[secure]


class ShortWayMiddleware:
    """The first of all middleware: sends `POST /api/classifications` the short way and everything else on."""

    def __init__(self, get_response: View) -> None:
        self._get_response = get_response
        self._short = ShortWay()
        way: Any = classify
        for layer in (XFrameOptionsMiddleware, CorsMiddleware, SessionMiddleware, SecurityMiddleware):
            way = layer(way)
        self._from_elsewhere: View = way

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, by whichever way."""
        if request.path_info != ADDRESS or request.method != "POST":
            return self._get_response(request)
        if not _is_our_own(request.META):
            return self._from_elsewhere(request)
        response = self._short.answer(request)
        for name, value in self._short.guards_of(request):
            response.headers.setdefault(name, value)
        return response


class ShortWayApplication:
    """The WSGI application: the answer to our own page is given before Django's handler prepares for a page.

    What Django does at the start and the end of each request, it does of that: connections to the database that are
    broken or old are closed, and errors are logged.
    """

    def __init__(self, django: WSGIApplication) -> None:
        self._django = django
        self._short = ShortWay()
        self._answer: Any = convert_exception_to_response(self._short.answer)

    def __call__(self, variables: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The answer, by whichever way."""
        short = variables["PATH_INFO"] == ADDRESS and variables["REQUEST_METHOD"] == "POST" and _is_our_own(variables)
        if not short:
            return self._django(variables, start_response)
        connections[DEFAULT_DB_ALIAS].close_if_unusable_or_obsolete()
        request = WSGIRequest(variables)
        response: HttpResponse = self._answer(request)
        if response.status_code >= 400:
            log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        cookies = [("Set-Cookie", cookie.output(header="")) for cookie in response.cookies.values()]
        headers = [*response.items(), *self._short.guards_of(request), *cookies]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        return [response.content]


def _is_our_own(variables: dict[str, Any]) -> bool:
    """Whether the request comes from a page of this site or from a program."""
    origin = variables.get("HTTP_ORIGIN")
    return not origin or origin.partition("://")[2] == variables.get("HTTP_HOST")
