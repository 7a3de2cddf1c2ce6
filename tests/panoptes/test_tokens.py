"""POST /oauth/token beyond the session's grant: tokens that renew, programs of their own, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.core.cache import cache
from django.test import Client
from oauth2_provider.models import AccessToken, Application, RefreshToken

from esocs.accounts.applications import PUBLIC_CLIENT_ID
from esocs.accounts.models import User
from esocs.accounts.throttling import FAILURES
from tests.panoptes.bodies import error_of
from tests.support.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

SECRET = "a-secret-of-the-program"


@pytest.fixture
def user(db: None) -> User:
    return make_user()


def ask(client: Client, **values: str) -> Any:
    return client.post("/oauth/token", urlencode(values), content_type="application/x-www-form-urlencoded")


def sign_in(client: Client, login: str, password: str = PASSWORD) -> Any:
    token = client.get("/users/sign_in")["X-CSRF-Token"]
    body = {"authenticity_token": token, "user": {"login": login, "password": password}}
    return client.post("/users/sign_in", json.dumps(body), content_type="application/json")


@pytest.fixture
def tokens(client: Client, user: User) -> dict[str, Any]:
    assert sign_in(client, user.login).status_code == 200
    issued: dict[str, Any] = ask(client, grant_type="password", client_id=PUBLIC_CLIENT_ID).json()
    return issued


def who_is(client: Client, access_token: str) -> str:
    answer = client.get("/api/me", headers={"Authorization": f"Bearer {access_token}"})
    return str(answer.json()["users"][0]["login"])


def renew(client: Client, refresh_token: str) -> Any:
    return ask(client, grant_type="refresh_token", client_id=PUBLIC_CLIENT_ID, refresh_token=refresh_token)


def test_a_token_is_renewed_without_the_session(other_client: Client, user: User, tokens: dict[str, Any]) -> None:
    answer = renew(other_client, tokens["refresh_token"])
    assert answer.status_code == 200
    renewed = answer.json()
    assert set(renewed) == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "scope",
        "created_at",
    }
    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert who_is(other_client, renewed["access_token"]) == user.login
    assert renew(other_client, renewed["refresh_token"]).status_code == 200


def test_no_token_is_kept_in_clear(tokens: dict[str, Any]) -> None:
    kept = [row.token for model in (AccessToken, RefreshToken) for row in model.objects.all()]
    assert kept == ["", ""]


def test_a_token_that_was_renewed_is_spent_and_takes_its_successors_along(
    client: Client, tokens: dict[str, Any], settings: Any
) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0}
    successor = renew(client, tokens["refresh_token"]).json()["refresh_token"]
    assert error_of(renew(client, tokens["refresh_token"])) == (400, "token_refused")
    assert error_of(renew(client, successor)) == (400, "token_refused")


def test_who_asks_again_because_the_answer_was_lost_gets_a_token(client: Client, tokens: dict[str, Any]) -> None:
    assert renew(client, tokens["refresh_token"]).status_code == 200
    assert renew(client, tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 10_000, "\0"])
def test_a_token_that_was_not_issued_renews_nothing(client: Client, db: None, token: str) -> None:
    answer = renew(client, token)
    assert error_of(answer) == (400, "token_refused")
    assert answer.json()["error"] in {"invalid_grant", "invalid_request"}


def test_the_token_of_a_closed_account_renews_nothing(client: Client, user: User, tokens: dict[str, Any]) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert error_of(renew(client, tokens["refresh_token"])) == (400, "token_refused")


@pytest.fixture
def program(user: User) -> Application:
    return Application.objects.create(
        name="A pipeline",
        user=user,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        client_secret=SECRET,
    )


def test_a_program_with_a_secret_acts_as_its_owner(client: Client, user: User, program: Application) -> None:
    values = {"grant_type": "client_credentials", "client_id": program.client_id, "client_secret": SECRET}
    answer = ask(client, **values, url="https://example.org")
    assert answer.status_code == 200
    assert who_is(client, answer.json()["access_token"]) == user.login
    assert error_of(ask(client, **{**values, "client_secret": "wrong"})) == (401, "invalid_client")
    assert error_of(ask(client, **{**values, "client_id": "unknown"})) == (401, "invalid_client")
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert error_of(ask(client, **values)) == (401, "invalid_client")


def test_the_public_client_is_no_program_with_a_secret(client: Client, db: None) -> None:
    answer = ask(client, grant_type="client_credentials", client_id=PUBLIC_CLIENT_ID, client_secret="")
    assert answer.status_code in {400, 401}


def test_a_page_gets_a_token_by_a_code_that_only_it_can_redeem(client: Client, user: User) -> None:
    page = Application.objects.create(
        name="A classifier",
        client_type=Application.CLIENT_PUBLIC,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris="https://classifier.example.org/",
    )
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": page.client_id,
        "redirect_uri": "https://classifier.example.org/",
        "scope": "public classification",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": "s",
    }
    assert client.get("/oauth/authorize", asked).status_code == 302
    client.force_login(user)
    shown = client.get("/oauth/authorize", asked)
    assert shown.status_code == 200
    assert "A classifier" in shown.content.decode()
    agreed = client.post("/oauth/authorize", {**asked, "allow": "Authorize"})
    assert agreed.status_code == 302
    answer = parse_qs(urlsplit(agreed["Location"]).query)
    values = {
        "grant_type": "authorization_code",
        "client_id": page.client_id,
        "code": answer["code"][0],
        "redirect_uri": asked["redirect_uri"],
    }
    assert error_of(ask(client, **values, code_verifier="another" * 8)) == (400, "token_refused")
    issued = ask(client, **values, code_verifier=verifier)
    assert issued.status_code == 200
    assert who_is(client, issued.json()["access_token"]) == user.login
    assert client.get("/oauth/authorize", {**asked, "response_type": "token"}).status_code != 200
    foreign = client.get("/oauth/authorize", {**asked, "redirect_uri": "https://elsewhere.example.org/"})
    assert foreign.status_code == 400


def test_passwords_cannot_be_guessed_at_leisure(client: Client, user: User) -> None:
    cache.clear()
    for _ in range(FAILURES):
        assert error_of(sign_in(client, user.login, "wrong")) == (401, "sign_in_failed")
    answer = sign_in(client, user.login)
    assert error_of(answer) == (429, "too_many_attempts")
    assert int(answer["Retry-After"]) > 0
    assert client.get("/users/sign_in")["X-CSRF-Token"]
    assert sign_in(client, make_user().login).status_code == 200
    cache.clear()
    assert sign_in(client, user.login).status_code == 200
