"""Whatever is sent to whichever address of the OpenAPI document: an answer in form, and never a fault of ours."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esocs.accounts.models import User
from esocs.panoptes.access import forget_workflows
from esocs.projects.models import Workflow
from tests.panoptes.bodies import bearer
from tests.support.factories import make_subject, make_workflow

pytestmark = pytest.mark.django_db

DOCUMENT: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
OPERATIONS = sorted(
    (path, method) for path, item in DOCUMENT["paths"].items() for method in item if method != "parameters"
)
NAMES = sorted(
    {
        parameter["name"]
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query"
    }
)
MEMBERS = sorted({match for path, _ in OPERATIONS for match in re.findall(r"/api/([a-z_]+)", path)})
IDS = st.sampled_from(["1", "2", "0", "-1", "99999999999999999999", "9223372036854775807", "x", "%00", "1,2", "é"])
TEXTS = IDS | st.sampled_from(["", "true", "null", "🌌", "=1+1", "'; --", "2026-02-31", "a/b"]) | st.text(max_size=4)
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.just(10**30) | st.floats(-5, 5) | TEXTS
KEYS = st.sampled_from(
    [*MEMBERS, "links", "id", "display_name", "metadata", "retired", "tasks", "configuration", "locations", "media"]
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)


@pytest.fixture
def workflow() -> Workflow:
    forget_workflows()
    workflow = make_workflow()
    make_subject(workflow.project, published_in=workflow, metadata={"retired": "yes"})
    return workflow


# A machine with other work to do is slow at making examples, too.
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    operation=st.sampled_from(OPERATIONS),
    ids=st.lists(st.none() | IDS, min_size=3, max_size=3),
    query=st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=3),
    body=JSON,
    framed=st.booleans(),
    signed_in=st.booleans(),
    tag=st.sampled_from(["", "*", 'W/"x"', "x" * 50]),
)
def test_the_answer_is_no_fault_of_ours(
    workflow: Workflow,
    operation: tuple[str, str],
    ids: list[str | None],
    query: dict[str, str],
    body: Any,
    framed: bool,
    signed_in: bool,
    tag: str,
) -> None:
    path, method = operation
    plural = next(iter(re.findall(r"/api/([a-z_]+)", path)), "users")
    own = {"workflows": workflow.pk, "projects": workflow.project_id}.get(plural, 1)
    given_ids = iter(ids)
    address = re.sub(r"\{[^}]*\}", lambda _: next(given_ids, None) or str(own), path)
    owner: User = workflow.project.owner
    answer = Client(raise_request_exception=False).generic(
        method.upper(),
        address,
        json.dumps({plural: body} if framed else body),
        content_type="application/json",
        query_params=query,
        headers={"If-Match": tag, **(bearer(owner) if signed_in else {})},
    )
    assert answer.status_code < 500 or answer.json()["errors"][0]["code"] == "feature_off", (
        method,
        address,
        query,
        body,
    )
    if answer.status_code >= 400 and address.startswith("/api/") and "json" in answer["Content-Type"]:
        assert answer.json()["errors"][0]["message"]
