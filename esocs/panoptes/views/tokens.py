"""POST /oauth/token: a bearer token for whoever the session's cookie is."""

from __future__ import annotations

import time

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from classifier.errors import EsocsError
from esocs.accounts.identity import identity_from_session, issue_token
from esocs.accounts.models import User
from esocs.panoptes import schema
from esocs.panoptes.authentication import refuse_foreign_origin
from esocs.panoptes.errors import InvalidClientError, NotSignedInError, UnsupportedGrantError, error_response
from esocs.panoptes.renderers import PanoptesParser
from esocs.panoptes.views.base import PanoptesView

# Zooniverse's public client: what its programs send to every server that they do not know.
PUBLIC_CLIENT_ID = "ce310d45f951de68c4cc8ef46ca38cc0a008f607a2026680295757bfef99f43c"
SCOPE = "public user project classification"
# RFC 6749 §5.2: the protocol's own words for what went wrong.
PROTOCOL_ERRORS = {"not_signed_in": "invalid_grant"}


class Token(PanoptesView):
    """The password grant as Panoptes serves it: without a password, for the session that `/users/sign_in` began."""

    authentication_classes = ()
    parser_classes = (FormParser, PanoptesParser)

    @extend_schema(
        operation_id="issue_token",
        request={"application/x-www-form-urlencoded": schema.TOKEN_BODY},
        responses={200: schema.TOKEN, **schema.ERRORS},
    )
    def post(self, request: Request) -> HttpResponse:
        try:
            user = _authorise(request)
        except EsocsError as error:
            code = PROTOCOL_ERRORS.get(error.code, error.code)
            return error_response(error, beside={"error": code, "error_description": error.message})
        document = {
            "access_token": issue_token(user),
            "token_type": "Bearer",
            "expires_in": settings.ACCESS_TOKEN_AGE_S,
            "scope": SCOPE,
            "created_at": int(time.time()),
        }
        return Response(document, headers={"Cache-Control": "no-store"})


def _authorise(request: Request) -> User:
    refuse_foreign_origin(request)
    sent = request.data if hasattr(request.data, "get") else {}
    if sent.get("client_id") != PUBLIC_CLIENT_ID:
        raise InvalidClientError("This client is not known here.", hint="Use the public client's id.")
    if sent.get("grant_type") != "password":
        raise UnsupportedGrantError("Only grant_type=password is served.", hint="Log in at /users/sign_in first.")
    identity = identity_from_session(request._request)  # noqa: SLF001 - DRF's name for Django's request
    user = User.objects.filter(id=identity.user_id or 0, is_active=True).first()
    if user is None:
        raise NotSignedInError("You must be logged in to get a token.", hint="POST to /users/sign_in first.")
    return user
