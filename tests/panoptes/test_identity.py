"""Who the API takes a request to come from: /users/sign_in, /oauth/token, /api/me and the bearer token."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from django.conf import settings
from django.test import Client

from esocs.accounts.identity import issue_token
from esocs.accounts.models import User
from esocs.panoptes.views.tokens import PUBLIC_CLIENT_ID
from tests.panoptes.bodies import bearer, error_of
from tests.support.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def _sign_in(client: Client, login: str, password: str = PASSWORD, **changes: Any) -> Any:
    token = client.get("/users/sign_in", headers={"Accept": "application/json"})["X-CSRF-Token"]
    body = {"authenticity_token": token, "user": {"login": login, "password": password, "remember_me": True}}
    return client.post("/users/sign_in", body | changes, content_type="application/json")


def _token(client: Client, **changes: str) -> Any:
    form = urlencode({"grant_type": "password", "client_id": PUBLIC_CLIENT_ID} | changes)
    return client.post("/oauth/token", form, content_type="application/x-www-form-urlencoded")


def test_a_program_signs_in_gets_a_token_and_is_known_by_it(client: Client, other_client: Client) -> None:
    user = make_user("owner")
    answer = _sign_in(client, "owner")
    assert answer.status_code == 200
    [document] = answer.json()["users"]
    assert (document["id"], document["login"]) == (str(user.pk), "owner")
    assert answer["X-CSRF-Token"]
    token = _token_document(_token(client))
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 7200)
    me = other_client.get("/api/me", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert me.json()["users"][0]["login"] == "owner"


def _token_document(answer: Any) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    assert answer.status_code == 200, document
    assert answer["Cache-Control"] == "no-store"
    return document


def test_a_log_in_is_found_in_any_case(client: Client) -> None:
    make_user("Owner")
    assert _sign_in(client, "oWNER").status_code == 200


@pytest.mark.parametrize(("login", "password"), [("owner", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_login_or_password_is_one_and_the_same_answer(client: Client, login: str, password: str) -> None:
    make_user("owner")
    answer = _sign_in(client, login, password)
    assert error_of(answer) == (401, "sign_in_failed")
    # The Zooniverse clients show what stands under `error`.
    assert answer.json()["error"] == "Invalid login or password."


def test_a_closed_account_cannot_sign_in(client: Client) -> None:
    make_user("owner")
    User.objects.update(is_active=False)
    assert error_of(_sign_in(client, "owner")) == (401, "sign_in_failed")


def test_sign_in_wants_the_token_that_was_handed_to_this_browser(client: Client, other_client: Client) -> None:
    make_user("owner")
    stolen = other_client.get("/users/sign_in")["X-CSRF-Token"]
    for token in ("forged", stolen, "", None):
        assert error_of(_sign_in(client, "owner", authenticity_token=token)) == (422, "csrf_token_invalid")


@pytest.mark.parametrize("user", [None, "owner", {}, {"login": "owner"}, {"login": 1, "password": 2}])
def test_sign_in_wants_login_and_password(client: Client, user: Any) -> None:
    assert error_of(_sign_in(client, "owner", user=user)) == (422, "invalid_request")


def test_a_token_is_given_to_whoever_is_signed_in_alone(client: Client) -> None:
    answer = _token(client)
    assert error_of(answer) == (401, "not_signed_in")
    assert answer.json()["error"] == "invalid_grant"


def test_a_token_is_given_to_known_clients_and_grants_alone(client: Client) -> None:
    make_user("owner")
    _sign_in(client, "owner")
    assert error_of(_token(client, client_id="other")) == (401, "invalid_client")
    assert error_of(_token(client, grant_type="magic")) == (400, "unsupported_grant_type")
    answer = client.post("/oauth/token", {"grant_type": "password", "client_id": PUBLIC_CLIENT_ID}, "application/json")
    assert answer.status_code == 200


def _forge(user: User, **changes: Any) -> str:
    claims = jwt.decode(issue_token(user), options={"verify_signature": False}) | changes
    return jwt.encode(claims, f"access-token:{settings.SECRET_KEY}", algorithm="HS256")


def test_an_expired_token_says_so(client: Client) -> None:
    token = _forge(make_user(), exp=int(time.time()) - 1)
    answer = client.get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert error_of(answer) == (401, "token_expired")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_forged_token_is_refused(client: Client) -> None:
    user = make_user()
    good = issue_token(user)
    head, claims, signature = good.split(".")
    none = jwt.encode({"data": {"id": user.pk}}, "", algorithm="none")
    stranger = jwt.encode({"data": {"id": user.pk}, "iss": "esocs"}, "x" * 32, algorithm="HS256")
    issuer = _forge(user, iss="elsewhere")
    for token in (none, stranger, issuer, f"{head}.{claims}.{signature[::-1]}", "x", good[:-1]):
        answer = client.get("/api/me", headers={"Authorization": f"Bearer {token}"})
        assert error_of(answer) == (401, "token_invalid")


@pytest.mark.parametrize("header", ["Basic b3duZXI6eA==", "Bearer", "Bearer ", "token"])
def test_another_authorization_than_a_bearer_token_is_refused(client: Client, header: str) -> None:
    assert error_of(client.get("/api/projects", headers={"Authorization": header})) == (401, "token_invalid")


def test_an_empty_authorization_header_is_nobodys(client: Client) -> None:
    assert client.get("/api/projects", headers={"Authorization": ""}).status_code == 200


def test_me_is_for_people_who_are_logged_in(client: Client) -> None:
    assert error_of(client.get("/api/me")) == (401, "not_signed_in")
    user = make_user("owner", email="owner@example.org")
    [document] = client.get("/api/me", headers=bearer(user)).json()["users"]
    assert (document["login"], document["email"], document["admin"]) == ("owner", "owner@example.org", False)


def test_a_closed_account_is_nobody_whatever_its_token_says(client: Client) -> None:
    headers = bearer(make_user())
    User.objects.update(is_active=False)
    assert error_of(client.get("/api/me", headers=headers)) == (401, "not_signed_in")


def test_a_page_of_another_site_cannot_write_with_a_visitors_cookie(client: Client) -> None:
    client.force_login(make_user())
    foreign = {"Origin": "https://elsewhere.example"}
    answer = client.post("/api/classifications", {}, content_type="application/json", headers=foreign)
    assert error_of(answer) == (403, "foreign_origin")
    own = {"Origin": "http://testserver"}
    answer = client.post("/api/classifications", {}, content_type="application/json", headers=own)
    assert error_of(answer) == (422, "invalid_request")


def test_a_page_of_another_site_may_read_and_may_write_with_a_token(client: Client) -> None:
    foreign = {"Origin": "https://elsewhere.example"}
    assert client.get("/api/projects", headers=foreign).status_code == 200
    headers = foreign | bearer(make_user())
    answer = client.post("/api/classifications", {}, content_type="application/json", headers=headers)
    assert error_of(answer) == (422, "invalid_request")
