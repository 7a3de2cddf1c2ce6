"""POST /oauth/token: bearer tokens, by a session, by a token that renews, or by a program's own secret."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from oauth2_provider.settings import oauth2_settings
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.errors import EsocsError
from esocs.accounts.applications import (
    PUBLIC_CLIENT_ID,
    SCOPE,
    ZOONIVERSE_CLIENT_IDS,
    issue_session_tokens,
    public_application,
)
from esocs.accounts.identity import identity_from_session
from esocs.accounts.models import User
from esocs.panoptes import schema
from esocs.panoptes.authentication import refuse_foreign_origin
from esocs.panoptes.errors import (
    InvalidClientError,
    NotSignedInError,
    TokenRefusedError,
    UnsupportedGrantError,
    error_response,
)
from esocs.panoptes.renderers import PanoptesParser
from esocs.panoptes.views.base import PanoptesView

# RFC 6749 §5.2: the protocol's own words for what went wrong.
PROTOCOL_ERRORS = {"not_signed_in": "invalid_grant"}
# What django-oauth-toolkit answers.
TOOLKIT_GRANTS = ("refresh_token", "client_credentials", "authorization_code")


class Token(PanoptesView):
    """Panoptes' grants. That by password comes without one, for the session that `/users/sign_in` began."""

    authentication_classes = ()
    parser_classes = (FormParser, PanoptesParser)

    @extend_schema(
        operation_id="issue_token",
        request={"application/x-www-form-urlencoded": schema.TOKEN_BODY},
        responses={200: schema.TOKEN, **schema.ERRORS},
    )
    def post(self, request: Request) -> HttpResponse:
        try:
            document = _grant(request)
        except TokenRefusedError as error:
            return error_response(error, beside={"error": error.reason, "error_description": error.message})
        except EsocsError as error:
            code = PROTOCOL_ERRORS.get(error.code, error.code)
            return error_response(error, beside={"error": code, "error_description": error.message})
        return Response({**document, "created_at": int(time.time())}, headers={"Cache-Control": "no-store"})


def _grant(request: Request) -> dict[str, Any]:
    sent = {name: str(value) for name, value in request.data.items()} if hasattr(request.data, "items") else {}
    if sent.get("client_id") in ZOONIVERSE_CLIENT_IDS:
        sent["client_id"] = PUBLIC_CLIENT_ID
    grant = sent.get("grant_type", "")
    if grant in TOOLKIT_GRANTS:
        return _ask_toolkit(request, sent)
    refuse_foreign_origin(request)
    if sent.get("client_id") != PUBLIC_CLIENT_ID:
        raise InvalidClientError("This client is not known here.", hint="Use the public client's id.")
    if grant != "password":
        raise UnsupportedGrantError(
            f"grant_type {grant[:40]!r} is not served.", hint=f"Use password, {', '.join(TOOLKIT_GRANTS)}."
        )
    identity = identity_from_session(request._request)  # noqa: SLF001 - DRF's name for Django's request
    user = User.objects.filter(id=identity.user_id or 0, is_active=True).first()
    if user is None:
        raise NotSignedInError("You must be logged in to get a token.", hint="POST to /users/sign_in first.")
    issued = issue_session_tokens(user)
    return {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": settings.ACCESS_TOKEN_AGE_S,
        "refresh_token": issued.refresh_token,
        "scope": SCOPE,
    }


def _ask_toolkit(request: Request, sent: dict[str, str]) -> dict[str, Any]:
    """The toolkit's answer to a grant of its own.

    Raises:
        InvalidClientError: the program is not known, or its secret is wrong.
        TokenRefusedError: the grant is not valid; `reason` is the protocol's word for it.
    """
    if sent.get("client_id") == PUBLIC_CLIENT_ID:
        public_application()
    validator = oauth2_settings.OAUTH2_VALIDATOR_CLASS()
    server = oauth2_settings.OAUTH2_SERVER_CLASS(validator, **oauth2_settings.server_kwargs)
    headers = {"Authorization": request.headers["Authorization"]} if "Authorization" in request.headers else {}
    _, text, status = server.create_token_response(request.build_absolute_uri(), "POST", urlencode(sent), headers)
    answer: dict[str, Any] = json.loads(text)
    if status == 200:
        return answer
    if answer.get("error") == "invalid_client":
        raise InvalidClientError("This client is not known here, or its secret is another.")
    raise TokenRefusedError(
        answer.get("error_description") or f"The token was refused: {answer.get('error')}.",
        hint="Log in again at /users/sign_in.",
        reason=str(answer.get("error", "invalid_request")),
    )
