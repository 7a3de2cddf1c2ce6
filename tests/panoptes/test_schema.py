"""The OpenAPI document, and that what the API takes and answers is what the document says."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esocs.crowd.models import SubjectStatus
from esocs.panoptes.errors import InvalidRequestError
from esocs.panoptes.schema import COMPONENTS
from esocs.panoptes.submissions import read_classification
from esocs.projects.community import create_collection, create_translation, create_tutorial, keep_preferences
from esocs.projects.models import FieldGuide, ProjectRole, SetMemberSubject, Subject, Workflow, WorkflowVersion
from tests.panoptes.bodies import METADATA, bearer, classification, send
from tests.releases.exporting import make_export


def test_the_document_is_valid_and_made_without_a_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=io.StringIO())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    printed = io.StringIO()
    call_command("spectacular", stdout=printed)
    loaded: dict[str, Any] = yaml.safe_load(printed.getvalue())
    return loaded


@pytest.mark.django_db
def test_the_document_is_served(client: Client) -> None:
    answer = client.get("/api/schema")
    assert answer.status_code == 200
    assert yaml.safe_load(answer.content)["info"]["title"] == "esocs"


def _plain(schema: Any) -> Any:
    """JSON Schema of OpenAPI 3.0's dialect: `nullable` in its words."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") else plain


def _check(document: dict[str, Any], method: str, path: str, answer: Any) -> None:
    responses = document["paths"][path][method]["responses"]
    described = responses.get(str(answer.status_code)) or responses["4XX"]
    [content] = described["content"].values()
    schema = _plain({**content["schema"], "components": document["components"]})
    jsonschema.validate(json.loads(answer.content), schema)


@pytest.mark.django_db
def test_every_answer_is_as_the_document_describes_it(
    client: Client, document: dict[str, Any], workflow: Workflow, subject: Subject
) -> None:
    project, owner = workflow.project, bearer(workflow.project.owner)
    queued = client.get(f"/api/subjects/queued?workflow_id={workflow.pk}")
    created = send(client, classification(workflow, subject))
    classification_id = created.json()["classifications"][0]["id"]
    make_export(project)
    _check(document, "get", "/api/subjects/queued", queued)
    _check(document, "post", "/api/classifications", created)
    for template, path in {
        "/api/projects": "/api/projects",
        "/api/projects/{id}": f"/api/projects/{project.pk}",
        "/api/workflows": "/api/workflows",
        "/api/workflows/{id}": f"/api/workflows/{workflow.pk}",
        "/api/subjects/{id}": f"/api/subjects/{subject.pk}",
        "/api/classifications": "/api/classifications",
        "/api/classifications/project": "/api/classifications/project",
        "/api/classifications/{id}": f"/api/classifications/{classification_id}",
        "/api/projects/{id}/{kind}_export": f"/api/projects/{project.pk}/classifications_export",
        "/api/me": "/api/me",
        **_surroundings(workflow, subject),
    }.items():
        answer = client.get(path, headers=owner)
        assert answer.status_code == 200, (path, answer.content)
        _check(document, "get", template, answer)
        _check(document, "get", "/api/projects/{id}", client.get("/api/projects/999999"))


def _surroundings(workflow: Workflow, subject: Subject) -> dict[str, str]:
    """One of each other resource: the document's address and ours."""
    project, owner = workflow.project, workflow.project.owner
    tutorial = create_tutorial(project=project, workflow_ids=[workflow.pk], steps=[{"content": "Look."}])
    guide = FieldGuide.objects.create(project=project, items=[{"title": "Bar"}])
    translation = create_translation(kind="workflow", resource=workflow, language="fr", strings={})
    collection = create_collection(owner=owner, display_name="Best", subject_ids=[subject.pk])
    preference = keep_preferences(project=project, user_id=owner.pk, preferences={})
    rows = {
        "workflow_versions": WorkflowVersion.objects.first(),
        "subject_sets": workflow.subject_sets.first(),
        "set_member_subjects": SetMemberSubject.objects.first(),
        "subject_workflow_statuses": SubjectStatus.objects.first(),
        "users": owner,
        "project_roles": ProjectRole.objects.first(),
        "project_preferences": preference,
        "tutorials": tutorial,
        "field_guides": guide,
        "translations": translation,
        "collections": collection,
    }
    paths = {f"/api/{plural}/{{id}}": f"/api/{plural}/{row.pk}" for plural, row in rows.items() if row is not None}
    assert len(paths) == len(rows)
    paths |= {f"/api/{plural}": f"/api/{plural}" for plural in rows if plural != "translations"}
    query = f"?translated_type=workflow&translated_id={workflow.pk}"
    return paths | {
        "/api/translations": f"/api/translations{query}",
        "/api/subjects": "/api/subjects",
        "/api/subjects/selection": f"/api/subjects/selection?workflow_id={workflow.pk}&ids={subject.pk}",
        "/api/workflows/{id}/versions": f"/api/workflows/{workflow.pk}/versions",
        "/api/project_preferences/read_settings": f"/api/project_preferences/read_settings?project_id={project.pk}",
        "/api/classifications/gold_standard": "/api/classifications/gold_standard",
        "/api/classifications/incomplete": "/api/classifications/incomplete",
    }


VALID = classification(Workflow(pk=1, project_id=1, first_task="T0"), "1")["classifications"]
SCHEMA = _plain(COMPONENTS["ClassificationRequest"]["properties"]["classifications"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.sampled_from(["1", "1.1", "T0"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["task", "value", "x"]), inner),
    max_leaves=4,
)
PLACES = st.sampled_from(
    [
        *[(name,) for name in ("annotations", "metadata", "links", "completed", "gold_standard", "surprise")],
        *[("metadata", name) for name in (*METADATA, "surprise")],
        *[("links", name) for name in ("project", "workflow", "subjects", "surprise")],
    ]
)


# A machine with other work to do is slow at making examples, too.
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(PLACES, JSON, st.booleans())
def test_what_is_taken_by_hand_is_what_the_schema_allows(place: tuple[str, ...], value: Any, remove: bool) -> None:
    body = copy.deepcopy(VALID)
    holder = body
    for name in place[:-1]:
        holder = holder[name]
    if remove:
        holder.pop(place[-1], None)
    else:
        holder[place[-1]] = value
    allowed = jsonschema.Draft202012Validator(SCHEMA).is_valid(body)
    try:
        read_classification({"classifications": body})
        taken = True
    except InvalidRequestError as error:
        taken = False
        if "must be a time" in error.message:
            return  # jsonschema knows times only with a package that is not a dependency
    assert taken == allowed, body
