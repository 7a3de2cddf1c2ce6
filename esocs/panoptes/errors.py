"""Every answer that is not a success: one handler turns typed errors into Panoptes' shape with a stable code.

docs/errors.md lists the codes; a test compares.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions as drf

from classifier.errors import EsocsError

log = logging.getLogger(__name__)

# When it makes sense to ask again, by status.
RETRY_AFTER_S = {429: 60, 503: 5}


class NotFoundError(EsocsError):
    """There is no such thing, or the asker may not know of it."""

    code = "not_found"
    status = 404


class FeatureOffError(EsocsError):
    """Panoptes has this feature, and this site does not."""

    code = "feature_off"
    status = 503


class UnknownRouteError(EsocsError):
    """The address belongs to no route of the API."""

    code = "unknown_route"
    status = 404


class NotSignedInError(EsocsError):
    """The request needs a person who is logged in."""

    code = "not_signed_in"
    status = 401


class SignInFailedError(EsocsError):
    """Login and password do not belong together, or the person may not log in."""

    code = "sign_in_failed"
    status = 401


class ForbiddenError(EsocsError):
    """The person is known and may not do this."""

    code = "forbidden"
    status = 403


class ForeignOriginError(EsocsError):
    """A page of another site tried to write with the visitor's cookie."""

    code = "foreign_origin"
    status = 403


class InvalidCsrfTokenError(EsocsError):
    """The log-in request does not carry the token that was handed out for it."""

    code = "csrf_token_invalid"
    status = 422


class MalformedRequestError(EsocsError):
    """The body is not JSON, or not JSON that can be kept."""

    code = "malformed_request"
    status = 400


class UnsupportedMediaTypeError(EsocsError):
    """The body is of a type that the API does not read."""

    code = "unsupported_media_type"
    status = 415


class RequestTooLargeError(EsocsError):
    """The body is larger than a classification can be."""

    code = "request_too_large"
    status = 413


class InvalidRequestError(EsocsError):
    """The body or the query is well-formed and breaks a rule of the API."""

    code = "invalid_request"
    status = 422


class PreconditionRequiredError(EsocsError):
    """A change came without saying which state of the resource it is about."""

    code = "precondition_required"
    status = 428


class PreconditionFailedError(EsocsError):
    """A change is about a state of the resource that is no more."""

    code = "precondition_failed"
    status = 412


class UploadLinkInvalidError(EsocsError):
    """The link for an upload was altered, or its time is over."""

    code = "upload_link_invalid"
    status = 403


class TokenRefusedError(EsocsError):
    """The grant by which a token was asked for is not valid; `reason` is RFC 6749's word for it."""

    code = "token_refused"
    status = 400

    def __init__(self, message: str, *, hint: str = "", reason: str = "invalid_grant") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class MethodNotAllowedError(EsocsError):
    """The address exists and does not take this method."""

    code = "method_not_allowed"
    status = 405


class ExportNotReadyError(EsocsError):
    """The export is ordered and not made yet."""

    code = "export_not_ready"
    status = 404


class ExportLinkInvalidError(EsocsError):
    """The link to an export was altered, or its time is over."""

    code = "export_link_invalid"
    status = 403


class GoneError(EsocsError):
    """Panoptes had this once and serves it no more."""

    code = "gone"
    status = 410


class InvalidClientError(EsocsError):
    """The token request names a client that is not known here."""

    code = "invalid_client"
    status = 401


class UnsupportedGrantError(EsocsError):
    """The token request asks for a grant that is not served."""

    code = "unsupported_grant_type"
    status = 400


class DatabaseUnavailableError(EsocsError):
    """PostgreSQL does not answer."""

    code = "database_unavailable"
    status = 503


def answer_error(error: Exception, context: Mapping[str, Any] | None = None) -> HttpResponse:
    """The answer to any error: `{"errors": [{"message", "code", "hint"}]}` with the contract's status.

    An unexpected error is logged with its traceback and answered with 500; where ESOCS_DEBUG is set it is raised.
    """
    typed = _as_typed(error)
    if typed is None:
        if settings.DEBUG:
            raise error
        request = (context or {}).get("request")
        log.error("unexpected error at %s", getattr(request, "path", "?"), exc_info=error)
        typed = EsocsError("Something went wrong on our side; it has been noted.", hint="Try again in a minute.")
    elif typed.status >= 500:
        log.error("%s: %s", typed.code, error)
    return error_response(typed)


def error_response(error: EsocsError, *, beside: Mapping[str, str] | None = None) -> HttpResponse:
    """The error's answer; `beside` stands beside `errors` where a protocol wants its own words too."""
    entry = {"message": error.message, "code": error.code}
    if error.hint:
        entry["hint"] = error.hint
    response = JsonResponse({**(beside or {}), "errors": [entry]}, status=error.status)
    if error.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="esocs"'
    if error.status in RETRY_AFTER_S:
        response["Retry-After"] = str(RETRY_AFTER_S[error.status])
    return response


def _as_typed(error: Exception) -> EsocsError | None:
    """The typed error that stands for a framework's one; None when nobody expected it."""
    if isinstance(error, EsocsError):
        return error
    return next((make(error) for kinds, make in TRANSLATIONS if isinstance(error, kinds)), None)


def _unsupported_media_type(error: Exception) -> EsocsError:
    return unsupported_media_type(str(getattr(error, "media_type", "")))


def unsupported_media_type(sent: str) -> EsocsError:
    """The refusal of a body of the type `sent`; "" where none was told."""
    sent = sent or "a body without a Content-Type"
    return UnsupportedMediaTypeError(f"The API does not read {sent}.", hint="Send Content-Type: application/json.")


# The first that fits is taken.
TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], Callable[[Exception], EsocsError]], ...] = (
    ((Http404, drf.NotFound), lambda _: NotFoundError("There is no such thing here.")),
    ((drf.UnsupportedMediaType,), _unsupported_media_type),
    ((drf.MethodNotAllowed,), lambda error: MethodNotAllowedError(str(error))),
    (
        (drf.NotAuthenticated, drf.AuthenticationFailed),
        lambda _: NotSignedInError("You must be logged in to access this resource."),
    ),
    ((drf.PermissionDenied, PermissionDenied), lambda _: ForbiddenError("You may not do this.")),
    ((drf.ValidationError,), lambda error: InvalidRequestError(str(error))),
    ((RequestDataTooBig,), lambda _: RequestTooLargeError("The request is too large.")),
    ((drf.ParseError, SuspiciousOperation), lambda error: MalformedRequestError(str(error))),
    (
        (OperationalError, InterfaceError),
        lambda _: DatabaseUnavailableError("The database does not answer.", hint="Try again in a minute."),
    ),
)
