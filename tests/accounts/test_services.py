"""Signing up, and the volunteer who stands for a user or for an anonymous session."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction
from django.utils import timezone
from oauth2_provider.models import AccessToken, RefreshToken

from esocs.accounts import services, tasks  # noqa: F401 - registers its jobs
from esocs.accounts.applications import issue_session_tokens
from esocs.accounts.models import User, Volunteer
from esocs.jobs import registry
from esocs.jobs.registry import JobContext
from tests.support.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def test_a_new_user_can_log_in_and_is_a_volunteer() -> None:
    user = services.sign_up(login="ada", password=PASSWORD, email="ada@example.org", display_name="Ada")
    assert authenticate(username="ada", password=PASSWORD) == user
    assert authenticate(username="ADA", password=PASSWORD) == user
    assert authenticate(username="ada", password="wrong") is None
    assert services.volunteer_for_user(user) == user.volunteer
    assert str(user) == "Ada"
    assert not user.is_staff


@pytest.mark.parametrize("login", ["ada", "ADA", "Ada"])
def test_a_name_is_taken_in_whatever_case(login: str) -> None:
    make_user("ada")
    with pytest.raises(services.LoginTakenError) as refused:
        services.sign_up(login=login, password=PASSWORD)
    assert (refused.value.code, refused.value.status) == ("login_taken", 409)
    assert User.objects.count() == Volunteer.objects.count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"login": ""},
        {"login": "a b"},
        {"login": "<script>"},
        {"login": "x" * 61},
        {"password": "short"},
        {"password": "password123"},
        {"login": "marie-curie", "password": "marie-curie"},
        {"email": "not an address"},
        {"email": f"{'x' * 300}@example.org"},
        {"display_name": "x" * 121},
        {"credited_name": "x" * 121},
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(fields: dict[str, str]) -> None:
    with pytest.raises(services.SignUpInvalidError) as refused:
        services.sign_up(**{"login": "ada", "password": PASSWORD, **fields})
    assert (refused.value.code, refused.value.status) == ("sign_up_invalid", 422)
    assert refused.value.message
    assert not User.objects.exists()


def test_what_an_anonymous_session_did_becomes_the_new_users() -> None:
    anonymous = services.volunteer_for_anonymous("token")
    user = services.sign_up(login="ada", password=PASSWORD, anonymous_token="token")
    assert user.volunteer == anonymous
    assert Volunteer.objects.count() == 1


def test_an_anonymous_session_is_adopted_once() -> None:
    services.volunteer_for_anonymous("token")
    first = services.sign_up(login="ada", password=PASSWORD, anonymous_token="token")
    second = services.sign_up(login="bea", password=PASSWORD, anonymous_token="token")
    assert first.volunteer != second.volunteer


def test_a_token_that_never_classified_brings_nothing_along() -> None:
    assert services.sign_up(login="ada", password=PASSWORD, anonymous_token="unknown").volunteer.pk


def test_an_anonymous_session_has_one_volunteer_and_its_token_is_not_stored() -> None:
    one = services.volunteer_for_anonymous("a secret token")
    assert services.volunteer_for_anonymous("a secret token") == one
    assert services.volunteer_for_anonymous("another") != one
    assert one.anonymous_key is not None
    assert "secret" not in one.anonymous_key


def test_an_address_is_kept_as_a_hash_that_needs_the_sites_key(settings: object) -> None:
    kept = services.hash_ip("192.0.2.7")
    assert kept == services.hash_ip("192.0.2.7") != services.hash_ip("192.0.2.8")
    assert "192" not in kept[:3]
    assert services.hash_ip("") == ""
    settings.SECRET_KEY = "another site's"  # type: ignore[attr-defined]
    assert services.hash_ip("192.0.2.7") != kept


def test_a_volunteer_is_somebody() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Volunteer.objects.create()


def test_tokens_whose_time_is_over_are_forgotten() -> None:
    issue_session_tokens(make_user())
    kept = issue_session_tokens(make_user())
    assert kept.refresh_token
    oldest = AccessToken.objects.order_by("id")[:1].values("pk")
    AccessToken.objects.filter(pk__in=oldest).update(expires=timezone.now() - timedelta(days=20))
    kind = "accounts.forget_tokens"
    job = JobContext(id=0, kind=kind, key="day", attempt=1, payload={}, report_progress=lambda *_: None)
    effect = registry.get_handler(kind)(job)
    assert effect is not None
    effect()
    assert (AccessToken.objects.count(), RefreshToken.objects.count()) == (1, 1)
