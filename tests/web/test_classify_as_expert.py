"""An expert answers what waits for experts on the volunteers' page; the answers become the gold standard."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from esocs.projects.models import Workflow
from tests.support.factories import make_subject, make_user, make_workflow

pytestmark = pytest.mark.django_db


def page_data(client: Client, workflow: Workflow) -> dict[str, object]:
    address = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/?audience=experts"
    html = client.get(address).content.decode()
    found = re.search(r'<script id="classify-data" type="application/json">(.*?)</script>', html)
    assert found is not None
    data: dict[str, object] = json.loads(found.group(1))
    return data


def test_the_owner_is_given_the_experts_queue(client: Client) -> None:
    workflow = make_workflow()
    make_subject(workflow.project, published_in=workflow, audience="experts")
    client.force_login(workflow.project.owner)
    data = page_data(client, workflow)
    assert data["gold"] is True
    queue = str(data["urls"]["queue"])  # type: ignore[index]
    answer = client.get(f"{queue}&workflow_id={workflow.pk}&page_size=5&held=")
    assert len(answer.json()["subjects"]) == 1


def test_anybody_else_gets_the_volunteers_page(client: Client) -> None:
    workflow = make_workflow()
    client.force_login(make_user())
    assert page_data(client, workflow)["gold"] is False
