"""The cookie that spares an answer its session: whom it names, for how long, and beside which session."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client

from esocs.accounts import seals
from esocs.crowd.models import Classification
from esocs.projects.models import Workflow
from tests.panoptes.bodies import bearer, classification, send
from tests.support.factories import PASSWORD, make_subject, make_user

pytestmark = pytest.mark.django_db


def _answer(client: Client, workflow: Workflow, **headers: str) -> Any:
    """A new subject's answer."""
    sent = classification(workflow, make_subject(workflow.project, published_in=workflow))
    answer = send(client, sent, **headers)
    assert answer.status_code == 201, answer.content
    return answer


def _volunteer() -> int:
    """Whose the newest answer is."""
    return Classification.objects.latest("id").volunteer_id


def _forget_sessions(*clients: Client) -> None:
    for client in clients:
        cache.delete(f"django.contrib.sessions.cached_db{client.cookies[settings.SESSION_COOKIE_NAME].value}")
    Session.objects.all().delete()


def test_a_volunteer_is_known_by_the_seal_while_it_lasts(
    client: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seals.COOKIE not in _answer(client, workflow).cookies  # the session has no key yet
    volunteer_id = _volunteer()
    cookie = _answer(client, workflow).cookies[seals.COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/api/classifications")
    assert cookie["max-age"] == seals.AGE_S
    # With the session gone from both stores, the seal still knows, and is not renewed.
    _forget_sessions(client)
    assert seals.COOKIE not in _answer(client, workflow).cookies
    assert _volunteer() == volunteer_id
    now = time.time()
    monkeypatch.setattr(seals.time, "time", lambda: now + seals.AGE_S + 1)
    _answer(client, workflow)
    assert _volunteer() != volunteer_id


def test_a_seal_is_nothing_beside_another_session_or_when_altered(
    client: Client, other_client: Client, workflow: Workflow
) -> None:
    for browser in (client, other_client):
        _answer(browser, workflow)
        _answer(browser, workflow)
    mine = _volunteer()
    sealed = client.cookies[seals.COOKIE].value
    said, _, digest = sealed.partition(".")
    for forged in (sealed, f"{said}x.{digest}", f"{said}.{digest[::-1]}", f"{said}.é", "x", ".", said):
        other_client.cookies[seals.COOKIE] = forged
        _answer(other_client, workflow)
        assert _volunteer() == mine
    del other_client.cookies[settings.SESSION_COOKIE_NAME]
    other_client.cookies[seals.COOKIE] = sealed
    _answer(other_client, workflow)
    assert _volunteer() not in {mine, Classification.objects.earliest("id").volunteer_id}


def test_whoever_signs_up_logs_in_or_out_is_known_as_such_at_once(client: Client, workflow: Workflow) -> None:
    ada = make_user("ada")
    for _ in range(2):
        _answer(client, workflow)
    anonymous = _volunteer()
    client.post("/sign-up/", {"login": "nova", "password": PASSWORD})
    for _ in range(3):
        [document] = _answer(client, workflow).json()["classifications"]
        assert document["links"]["user"] not in {None, str(ada.pk)}
        assert _volunteer() == anonymous  # adopted
    client.post("/log-out/")
    for _ in range(3):
        [document] = _answer(client, workflow).json()["classifications"]
        assert document["links"]["user"] is None
        assert _volunteer() != anonymous
    assert client.login(username="ada", password=PASSWORD)
    for _ in range(3):
        [document] = _answer(client, workflow).json()["classifications"]
        assert document["links"]["user"] == str(ada.pk)
        assert _volunteer() == ada.volunteer.pk


def test_a_token_needs_no_seal_and_a_page_of_another_site_may_not_use_one(client: Client, workflow: Workflow) -> None:
    user = make_user("ada")
    assert seals.COOKIE not in _answer(client, workflow, **bearer(user)).cookies
    client.force_login(user)
    assert seals.COOKIE in _answer(client, workflow).cookies
    body = classification(workflow, make_subject(workflow.project, published_in=workflow))
    assert send(client, body, origin="https://elsewhere.example").status_code == 403
