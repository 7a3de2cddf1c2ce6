"""GET and POST /users/sign_in: a program logs in with login and password, and keeps the session's cookie."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.contrib.auth import login, logout
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpResponse
from django.utils.crypto import constant_time_compare
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.accounts.throttling import try_password
from esocs.panoptes import schema
from esocs.panoptes.authentication import refuse_foreign_origin
from esocs.panoptes.documents import user_document
from esocs.panoptes.errors import InvalidCsrfTokenError, InvalidRequestError, SignInFailedError, error_response
from esocs.panoptes.views.base import PanoptesView

COOKIE = "esocs_sign_in"
TOKEN_AGE_S = 60 * 60


class SignIn(PanoptesView):
    """A token in the header answers GET; POST wants it back, from the browser or program that got it."""

    authentication_classes = ()

    @extend_schema(operation_id="prepare_sign_in", responses={200: schema.SIGN_IN})
    def get(self, request: Request) -> HttpResponse:
        return _with_token(Response({"login": "/users/sign_in"}))

    @extend_schema(
        operation_id="sign_in",
        request=schema.SIGN_IN_BODY,
        responses={200: schema.answer("users", schema.USER), **schema.ERRORS},
    )
    def post(self, request: Request) -> HttpResponse:
        refuse_foreign_origin(request)
        try:
            user = _authenticate(request)
        except EsocsError as error:
            # The Zooniverse clients read `error` here, and here alone.
            return error_response(error, beside={"error": error.message})
        login(request._request, user)  # noqa: SLF001 - DRF's name for Django's request
        return _with_token(self.answer("users", [user_document(user, private=True)]))


class SignOut(PanoptesView):
    """DELETE ends the session whose cookie comes with it; tokens that were given out end with their time."""

    authentication_classes = ()

    @extend_schema(operation_id="sign_out", request=None, responses={204: None, **schema.ERRORS})
    def delete(self, request: Request) -> HttpResponse:
        refuse_foreign_origin(request)
        logout(request._request)  # noqa: SLF001 - DRF's name for Django's request
        return Response(status=204)


def _authenticate(request: Request) -> User:
    body = request.data if isinstance(request.data, dict) else {}
    sent = body.get("user")
    if not isinstance(sent, dict):
        raise InvalidRequestError('The body must be {"authenticity_token": …, "user": {"login": …, "password": …}}.')
    name, password = sent.get("login"), sent.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        raise InvalidRequestError("user.login and user.password must be strings.")
    token = body.get("authenticity_token") or request.headers.get("X-CSRF-Token", "")
    if not _token_matches(str(token), request.COOKIES.get(COOKIE, "")):
        raise InvalidCsrfTokenError("The authenticity token is not the one that was handed out.", hint="GET it first.")
    user = try_password(request._request, login=name, password=password)  # noqa: SLF001 - Django's request
    if user is None:
        raise SignInFailedError("Invalid login or password.")
    return user


def _with_token(response: Response) -> Response:
    """Hand out a token, and the cookie that proves who got it."""
    secret = secrets.token_urlsafe(24)
    response["X-CSRF-Param"] = "authenticity_token"
    response["X-CSRF-Token"] = _signer().sign(secret)
    response["Cache-Control"] = "no-store"
    response.set_cookie(
        COOKIE,
        secret,
        max_age=TOKEN_AGE_S,
        path="/users",
        httponly=True,
        samesite="None" if settings.SESSION_COOKIE_SAMESITE == "None" else "Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
    return response


def _token_matches(token: str, cookie: str) -> bool:
    try:
        return bool(cookie) and constant_time_compare(_signer().unsign(token, max_age=TOKEN_AGE_S), cookie)
    except BadSignature:
        return False


def _signer() -> TimestampSigner:
    return TimestampSigner(salt="esocs.panoptes.sign_in")
