"""Zooniverse's JavaScript client, unmodified, in a page of another origin: it walks its classifier's requests."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from oauth2_provider.models import Application
from playwright.sync_api import Browser, Page, expect

from esocs.accounts.models import Volunteer
from esocs.crowd.models import Classification
from esocs.panoptes.access import forget_workflows
from esocs.projects.community import create_tutorial
from esocs.projects.models import FieldGuide, Workflow
from tests.support.factories import PASSWORD, make_subject, make_user, make_workflow

pytestmark = pytest.mark.django_db(transaction=True)

BUILD = Path(__file__).parent / "zooniverse" / "build.mjs"

# The order of the recorded session of Zooniverse's classifier (lib-classifier).
WALK = """
async ({ projectId, workflowId, answers, session }) => {
  const { apiClient } = window.zooniverse;
  const [project] = await apiClient.type("projects").get({ id: projectId });
  await apiClient.type("workflows").get({ id: workflowId, fields: "completeness,configuration,display_name,grouped" });
  const guides = await apiClient.type("field_guides").get({ project_id: projectId });
  const workflow = await apiClient.type("workflows").get(workflowId);
  const [texts] = await apiClient
    .type("translations")
    .get({ language: "en", translated_type: "workflow", translated_id: workflowId });
  const me = await apiClient.get("/me").then(([user]) => user.login, (error) => error.status);
  const tutorials = await apiClient.type("tutorials").get({ workflow_id: workflowId });
  const sent = [];
  for (const value of answers) {
    const [subject] = await apiClient.get("/subjects/queued", { workflow_id: workflowId });
    const body = {
      annotations: [{ task: "T0", taskType: "single", value }],
      completed: true,
      links: { project: projectId, workflow: workflowId, subjects: [subject.id] },
      metadata: {
        classifier_version: "2.0",
        feedback: {},
        finished_at: "2026-11-22T08:06:49.731Z",
        session,
        source: "api",
        started_at: `2026-11-22T08:06:4${value}.218Z`,
        subject_dimensions: [],
        subject_selection_state: { already_seen: subject.already_seen, selection_state: subject.selection_state },
        user_agent: navigator.userAgent,
        user_language: "en",
        utc_offset: "0",
        viewport: { width: 1400, height: 1000 },
        workflow_version: workflow.version,
      },
    };
    const [first] = await apiClient.post("/classifications", { classifications: body });
    const [again] = await apiClient.post("/classifications", { classifications: body });
    sent.push({ id: first.id, again: again.id, location: Object.values(subject.locations[0])[0] });
  }
  return {
    active: project.links.active_workflows,
    version: workflow.version,
    question: texts.strings["tasks.T0.question"],
    guides: guides.length,
    tutorials: tutorials.length,
    me,
    sent,
  };
}
"""


@pytest.fixture
def workflow(settings: Any) -> Workflow:
    forget_workflows()
    workflow = make_workflow(retirement={"criteria": "classification_count", "options": {"count": 5}})
    for _ in range(3):
        make_subject(workflow.project, published_in=workflow)
    create_tutorial(project=workflow.project, workflow_ids=[workflow.pk], steps=[{"content": "Look."}], language="en")
    FieldGuide.objects.create(project=workflow.project, items=[{"title": "Bar", "content": "A bar."}])
    return workflow


@pytest.fixture
def page(chromium: Browser, site: str, settings: Any, tmp_path: Path) -> Iterator[Page]:
    """A page with Zooniverse's client, at an origin that the site lists: of the same host, so that it has cookies."""
    subprocess.run(["node", str(BUILD), site, str(tmp_path)], check=True, capture_output=True)
    (tmp_path / "index.html").write_text('<!doctype html><title>Elsewhere</title><script src="client.js"></script>')
    server = ThreadingHTTPServer(("localhost", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://localhost:{server.server_port}"
    settings.CORS_ALLOWED_ORIGINS = [origin]
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{origin}/index.html")
    yield page
    context.close()
    server.shutdown()
    server.server_close()


def walk(page: Page, workflow: Workflow, *answers: int) -> dict[str, Any]:
    walked: dict[str, Any] = page.evaluate(
        WALK,
        {
            "projectId": str(workflow.project_id),
            "workflowId": str(workflow.pk),
            "answers": list(answers),
            "session": "22b24df485c8f74318e958603173437865d6515b2259a84709181ee466e1da02",
        },
    )
    return walked


def test_an_anonymous_volunteer_classifies(page: Page, workflow: Workflow) -> None:
    walked = walk(page, workflow, 0, 1)
    assert walked["active"] == [str(workflow.pk)]
    assert walked["version"] == "1.1"
    assert walked["question"] == "Is it a galaxy?"
    assert (walked["guides"], walked["tutorials"], walked["me"]) == (1, 1, 401)
    # A retry, for which the classifier has no key and no cookie, is known by its session and its times.
    assert all(one["id"] == one["again"] for one in walked["sent"])
    assert all(one["location"].endswith(".jpg") for one in walked["sent"])
    stored = Classification.objects.order_by("id")
    assert [str(row.pk) for row in stored] == [one["id"] for one in walked["sent"]]
    assert len({row.volunteer_id for row in stored}) == 1


def test_somebody_logs_in_classifies_and_logs_out(page: Page, workflow: Workflow) -> None:
    make_user("vera")
    signed_in = page.evaluate(
        "async (password) => (await window.zooniverse.auth.signIn({ login: 'vera', password })).login", PASSWORD
    )
    assert signed_in == "vera"
    walked = walk(page, workflow, 0, 1)
    assert walked["me"] == "vera"
    assert all(one["id"] == one["again"] for one in walked["sent"])
    owners = Volunteer.objects.filter(classifications__isnull=False).values_list("user__login", flat=True)
    assert set(owners) == {"vera"}
    page.evaluate("async () => await window.zooniverse.auth.signOut()")
    me = page.evaluate("() => window.zooniverse.apiClient.get('/me').then(() => 'somebody', (error) => error.status)")
    assert me == 401


def test_a_page_that_is_not_listed_reads_nothing(page: Page, workflow: Workflow, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = []
    asked = page.evaluate(
        "(id) => window.zooniverse.apiClient.type('projects').get(id).then(() => 'read', () => 'refused')",
        str(workflow.project_id),
    )
    assert asked == "refused"


LEAVE = """
async ({ site, clientId, scope }) => {
  const url = { "+": "-", "/": "_", "=": "" };
  const raw = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, (letter) => url[letter]);
  const verifier = raw(crypto.getRandomValues(new Uint8Array(48)));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  sessionStorage.setItem("verifier", verifier);
  const asked = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: location.href,
    scope,
    code_challenge: raw(new Uint8Array(digest)),
    code_challenge_method: "S256",
    state: "to-and-fro",
  });
  location.assign(`${site}/oauth/authorize?${asked}`);
}
"""
REDEEM = """
async ({ site, clientId }) => {
  const answer = new URLSearchParams(location.search);
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    client_id: clientId,
    code: answer.get("code"),
    redirect_uri: location.origin + location.pathname,
    code_verifier: sessionStorage.getItem("verifier"),
  });
  const token = await (await fetch(`${site}/oauth/token`, { method: "POST", body })).json();
  const headers = { Accept: "application/vnd.api+json; version=1", Authorization: `Bearer ${token.access_token}` };
  const me = await (await fetch(`${site}/api/me`, { headers })).json();
  const again = await fetch(`${site}/oauth/token`, { method: "POST", body });
  return { state: answer.get("state"), login: me.users[0].login, again: again.status };
}
"""


def test_a_page_of_a_listed_origin_is_given_leave_and_redeems_it(page: Page, site: str, workflow: Workflow) -> None:
    make_user("vera")
    home = page.url
    application = Application.objects.create(
        name="A classifier of our own",
        client_type=Application.CLIENT_PUBLIC,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris=home,
    )
    asked = {"site": site, "clientId": application.client_id, "scope": "public classification"}
    with page.expect_navigation(url=f"{site}/log-in/**"):
        page.evaluate(LEAVE, asked)
    page.get_by_label("User name").fill("vera")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_text("A classifier of our own").first).to_be_visible()
    page.get_by_role("button", name="Allow it").click()
    page.wait_for_url(f"{home}?**")
    told = page.evaluate(REDEEM, asked)
    assert (told["state"], told["login"]) == ("to-and-fro", "vera")
    assert told["again"] == 400, "a code is redeemed once"
