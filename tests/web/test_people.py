"""Sign-up, log-in and log-out through Django's test client."""

from __future__ import annotations

import pytest
from django.test import Client

from esocs.accounts.models import User, Volunteer
from tests.support import factories

pytestmark = pytest.mark.django_db


def test_sign_up_makes_an_account_and_logs_in(client: Client) -> None:
    answer = client.post("/sign-up/", {"login": "nova", "password": factories.PASSWORD, "credited_name": "N. Ova"})
    assert answer.status_code == 302
    assert answer["Location"] == "/"
    user = User.objects.get(login="nova")
    assert user.credited_name == "N. Ova"
    assert client.session["volunteer_id"] == Volunteer.objects.get(user=user).pk


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"login": "nova", "password": "short"}, "too short"),
        ({"login": "no va!", "password": factories.PASSWORD}, "valid username"),
        ({"login": "", "password": factories.PASSWORD}, "required"),
        ({"login": "nova", "password": factories.PASSWORD, "email": "nowhere"}, "valid email"),
        ({"login": "TAKEN", "password": factories.PASSWORD}, "This name is taken."),
    ],
)
def test_a_sign_up_that_cannot_be_is_explained(client: Client, fields: dict[str, str], sentence: str) -> None:
    factories.make_user("taken")
    answer = client.post("/sign-up/", fields)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert User.objects.count() == 1


def test_the_password_is_never_sent_back(client: Client) -> None:
    answer = client.post("/sign-up/", {"login": "", "password": "a secret that nobody reads"})
    assert "a secret that nobody reads" not in answer.content.decode()


@pytest.mark.parametrize("wanted", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)"])
def test_log_in_leads_to_no_other_site(client: Client, wanted: str) -> None:
    factories.make_user("nova")
    answer = client.post("/log-in/", {"login": "nova", "password": factories.PASSWORD, "next": wanted})
    assert answer["Location"] == "/"


def test_log_in_leads_back(client: Client) -> None:
    factories.make_user("nova")
    answer = client.post("/log-in/", {"login": "nova", "password": factories.PASSWORD, "next": "/sign-up/?x=1"})
    assert answer["Location"] == "/sign-up/?x=1"


def test_guessing_a_password_is_stopped_for_a_minute(client: Client) -> None:
    factories.make_user("guessed")
    for _ in range(10):
        answer = client.post("/log-in/", {"login": "guessed", "password": "wrong"})
        assert "do not belong together" in answer.content.decode()
    answer = client.post("/log-in/", {"login": "guessed", "password": factories.PASSWORD})
    assert answer.status_code == 422
    assert "wait for a minute" in answer.content.decode()


def test_a_link_cannot_log_out(client: Client) -> None:
    assert client.get("/log-out/").status_code == 405


def test_after_log_out_the_browser_is_somebody_else(client: Client) -> None:
    workflow = factories.make_workflow()
    address = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/"
    client.post("/sign-up/", {"login": "nova", "password": factories.PASSWORD})
    client.get(address)
    own = client.session["volunteer_id"]
    client.post("/log-out/")
    client.get(address)
    assert client.session["volunteer_id"] != own


def test_a_form_without_its_token_is_refused_with_advice() -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/sign-up/", {"login": "nova", "password": factories.PASSWORD})
    assert answer.status_code == 403
    assert "reload the page" in answer.content.decode()


def test_the_csrf_cookie_can_be_renewed(client: Client) -> None:
    answer = client.get("/csrf/")
    assert answer.status_code == 204
    assert answer.cookies["csrftoken"].value
