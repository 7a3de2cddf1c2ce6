"""Programs that act for people: their tokens, kept and renewed by django-oauth-toolkit.

Access tokens are our own signed ones (`identity.issue_token`), believed without a look-up; the toolkit's rows are the
source of truth of what may be renewed. Neither kind of token is kept in clear (RFC 9700 §4.13).
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application, RefreshToken, set_token_value
from oauth2_provider.oauth2_validators import OAuth2Validator

from esocs.accounts.identity import issue_token
from esocs.accounts.models import User

# Zooniverse's public client: what its programs send to every server that they do not know.
PUBLIC_CLIENT_ID = "ce310d45f951de68c4cc8ef46ca38cc0a008f607a2026680295757bfef99f43c"
# What its JavaScript client sends, in production and on its staging site.
ZOONIVERSE_CLIENT_IDS = frozenset(
    {
        PUBLIC_CLIENT_ID,
        "f79cf5ea821bb161d8cbb52d061ab9a2321d7cb169007003af66b43f7b79ce2a",
        "535759b966935c297be11913acee7a9ca17c025f9f15520e7504728e71110a27",
    }
)
SCOPE = "public user project classification"


@dataclass(frozen=True, kw_only=True)
class IssuedTokens:
    """A person's tokens for a program."""

    access_token: str
    refresh_token: str


def public_application() -> Application:
    """Zooniverse's own programs, which have no secret; made on first need."""
    application, _ = Application.objects.get_or_create(
        client_id=PUBLIC_CLIENT_ID,
        defaults={
            "name": "Zooniverse's programs",
            "client_type": Application.CLIENT_PUBLIC,
            "authorization_grant_type": Application.GRANT_AUTHORIZATION_CODE,
            "client_secret": "",
            "hash_client_secret": False,
        },
    )
    return application


@transaction.atomic
def issue_session_tokens(user: User) -> IssuedTokens:
    """Tokens for whoever a session is, for the public client: an access token, and one that renews it."""
    application = public_application()
    issued = IssuedTokens(access_token=issue_token(user), refresh_token=secrets.token_urlsafe(32))
    access = AccessToken(
        user=user,
        application=application,
        scope=SCOPE,
        expires=timezone.now() + timedelta(seconds=settings.ACCESS_TOKEN_AGE_S),
    )
    set_token_value(access, issued.access_token)
    access.save()
    refresh = RefreshToken(user=user, application=application, access_token=access, token_family=uuid.uuid4())
    set_token_value(refresh, issued.refresh_token)
    refresh.save()
    return issued


def make_access_token(request: Any) -> str:
    """The toolkit's hook: our signed token for the person, or for the owner of a program that acts by itself."""
    return issue_token(request.user or request.client.user)


class Validator(OAuth2Validator):  # type: ignore[misc]
    """The toolkit's rules, and: nobody whose account is closed gets a token."""

    def validate_refresh_token(
        self, refresh_token: str, client: Application, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        valid = super().validate_refresh_token(refresh_token, client, request, *args, **kwargs)
        return bool(valid and request.user.is_active)

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        authenticated = super().authenticate_client(request, *args, **kwargs)
        if authenticated and request.grant_type == "client_credentials":
            owner = request.client.user
            return owner is not None and owner.is_active
        return bool(authenticated)
