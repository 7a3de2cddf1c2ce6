"""Who is asking: from a session or a token, without a statement to the database."""

from __future__ import annotations

import time

import jwt
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from esocs.accounts import identity
from tests.support.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def request_with_session(**values: object) -> HttpRequest:
    request = RequestFactory().get("/")
    request.session = SessionStore()
    request.session.update(values)
    return request


def logged_in_request() -> HttpRequest:
    client = Client()
    assert client.login(username="ada", password=PASSWORD)
    request = RequestFactory().get("/")
    request.session = client.session
    return request


def test_nobody_is_anonymous_and_has_no_volunteer_yet() -> None:
    asker = identity.identity_from_session(request_with_session())
    assert asker.anonymous
    assert not asker.is_authenticated
    assert (asker.volunteer_id, asker.user_id, asker.login, asker.is_staff) == (None, None, "", False)


def test_an_anonymous_visitor_gets_a_volunteer_when_one_is_needed_and_keeps_it() -> None:
    request = request_with_session()
    first = identity.ensure_volunteer(request, identity.identity_from_session(request))
    assert first.volunteer_id is not None
    again = identity.identity_from_session(request)
    assert again.volunteer_id == first.volunteer_id
    assert identity.ensure_volunteer(request, again) == again


def test_a_log_in_is_known_from_the_session_alone() -> None:
    user = make_user("ada")
    request = logged_in_request()
    assert request.session["login"] == "ada"
    with CaptureQueriesContext(connection) as queries:
        asker = identity.identity_from_session(request)
    assert len(queries) == 0
    assert (asker.user_id, asker.volunteer_id, asker.login) == (user.pk, user.volunteer.pk, "ada")


def test_logging_in_after_classifying_anonymously_is_the_users_own_volunteer() -> None:
    user = make_user("ada")
    client = Client()
    session = client.session
    session["volunteer_id"] = 10**9
    session.save()
    client.login(username="ada", password=PASSWORD)
    assert client.session["volunteer_id"] == user.volunteer.pk


def test_a_session_that_only_names_a_user_is_not_a_log_in() -> None:
    user = make_user()
    assert identity.identity_from_session(request_with_session(_auth_user_id=str(user.pk))).anonymous


def test_a_token_carries_its_owner_without_a_statement() -> None:
    user = make_user("ada")
    token = identity.issue_token(user)
    with CaptureQueriesContext(connection) as queries:
        asker = identity.identity_from_token(token)
    assert len(queries) == 0
    assert (asker.user_id, asker.volunteer_id, asker.login) == (user.pk, user.volunteer.pk, "ada")
    assert not asker.is_staff


def test_an_expired_token_is_told_apart_from_a_forged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    old = identity.issue_token(user)
    monkeypatch.undo()
    with pytest.raises(identity.TokenExpiredError) as expired:
        identity.identity_from_token(old)
    assert (expired.value.code, expired.value.status) == ("token_expired", 401)


@pytest.mark.parametrize("key", ["", "someone else's key, long enough for HS256"])
def test_a_token_signed_by_others_is_refused(key: str) -> None:
    data = {"id": 1, "login": "ada", "dname": "", "scope": [], "admin": True, "volunteer_id": 1}
    claims = {"data": data, "exp": int(time.time()) + 60, "iss": "esocs"}
    forged = jwt.encode(claims, key or None, algorithm="HS256" if key else "none")
    for token in (forged, "", "a.b.c", identity.issue_token(make_user())[:-2]):
        with pytest.raises(identity.TokenInvalidError) as refused:
            identity.identity_from_token(token)
        assert (refused.value.code, refused.value.status) == ("token_invalid", 401)


def test_a_sites_other_secrets_sign_no_tokens(settings: object) -> None:
    token = identity.issue_token(make_user())
    settings.SECRET_KEY = "another site's key, long enough for HS256"  # type: ignore[attr-defined]
    with pytest.raises(identity.TokenInvalidError):
        identity.identity_from_token(token)
