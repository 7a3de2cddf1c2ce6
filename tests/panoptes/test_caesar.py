"""Caesar's API: who may look and change, what is refused and how, and that the document describes it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esocs.crowd.caesar import deriving, objects
from esocs.crowd.models import SubjectReduction, SubjectRule, UserReduction
from esocs.projects.models import Subject, Workflow
from tests.panoptes.bodies import bearer, error_of
from tests.panoptes.test_schema import _check
from tests.support.factories import classify, make_user, make_workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(workflow: Workflow) -> dict[str, str]:
    objects.save_workflow(workflow, {})
    return bearer(workflow.project.owner)


def send(client: Client, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    return getattr(client, method)(path, json.dumps(body), content_type="application/json", headers=headers)


def base(workflow: Workflow) -> str:
    return f"/caesar/workflows/{workflow.pk}"


def fill(client: Client, workflow: Workflow, subject: Subject, owner: dict[str, str]) -> dict[str, str]:
    """One of everything: the document's address and ours."""
    at = base(workflow)
    send(client, "post", f"{at}/extractors", {"extractor": {"type": "question", "key": "q"}}, owner)
    send(client, "post", f"{at}/reducers", {"reducer": {"type": "count", "key": "n"}}, owner)
    by_user = {"type": "count", "key": "u", "topic": "reduce_by_user"}
    send(client, "post", f"{at}/reducers", {"reducer": by_user}, owner)
    true = {"condition": ["const", True]}
    rule = send(client, "post", f"{at}/subject_rules", {"subject_rule": true}, owner).json()
    user_rule = send(client, "post", f"{at}/user_rules", {"user_rule": true}, owner).json()
    effects = f"{at}/subject_rules/{rule['id']}/subject_rule_effects"
    effect = send(client, "post", effects, {"subject_rule_effect": {"action": "retire_subject"}}, owner).json()
    other = make_workflow(workflow.project)
    user_effects = f"{at}/user_rules/{user_rule['id']}/user_rule_effects"
    promote = {"user_rule_effect": {"action": "promote_user", "config": {"workflow_id": other.pk}}}
    user_effect = send(client, "post", user_effects, promote, owner).json()
    send(client, "post", f"{at}/extracts/import", {"file": "https://science.example.org/x.csv"}, owner)
    author = make_user()
    classify(workflow, subject, author.volunteer, T0=0)
    with transaction.atomic():
        deriving.derive_workflow(workflow.pk)()
    document = "/caesar/workflows/{id}"
    return {
        "/caesar/workflows": "/caesar/workflows",
        document: at,
        f"{document}/extractors": f"{at}/extractors",
        f"{document}/extractors/{{name}}": f"{at}/extractors/q",
        f"{document}/extractors/{{name}}/extracts": f"{at}/extractors/all/extracts?subject_id={subject.pk}",
        f"{document}/reducers": f"{at}/reducers",
        f"{document}/reducers/{{name}}": f"{at}/reducers/n",
        f"{document}/subject_rules": f"{at}/subject_rules",
        f"{document}/subject_rules/{{rule_id}}": f"{at}/subject_rules/{rule['id']}",
        f"{document}/subject_rules/{{rule_id}}/subject_rule_effects": effects,
        f"{document}/subject_rules/{{rule_id}}/subject_rule_effects/{{effect_id}}": f"{effects}/{effect['id']}",
        f"{document}/user_rules": f"{at}/user_rules",
        f"{document}/user_rules/{{rule_id}}": f"{at}/user_rules/{user_rule['id']}",
        f"{document}/user_rules/{{rule_id}}/user_rule_effects": user_effects,
        f"{document}/user_rules/{{rule_id}}/user_rule_effects/{{effect_id}}": f"{user_effects}/{user_effect['id']}",
        f"{document}/extracts/import": f"{at}/extracts/import",
        f"{document}/subjects/{{subject_id}}/extracts": f"{at}/subjects/{subject.pk}/extracts",
        f"{document}/subjects/{{subject_id}}/reductions": f"{at}/subjects/{subject.pk}/reductions",
        f"{document}/users/{{user_id}}/reductions": f"{at}/users/{author.pk}/reductions",
    }


def test_every_answer_is_as_the_document_describes_it(
    client: Client, workflow: Workflow, subject: Subject, owner: dict[str, str]
) -> None:
    printed = io.StringIO()
    call_command("spectacular", stdout=printed)
    document = yaml.safe_load(printed.getvalue())
    paths = fill(client, workflow, subject, owner)
    for template, path in paths.items():
        answer = client.get(path, headers=owner)
        assert answer.status_code == 200, (path, answer.content)
        assert answer.json(), path
        assert answer["Content-Type"] == "application/json"
        _check(document, "get", template, answer)
    described = {path for path in document["paths"] if path.startswith("/caesar/") and "get" in document["paths"][path]}
    assert described == set(paths)
    assert SubjectReduction.objects.exists()
    assert UserReduction.objects.exists()


def test_the_projects_people_alone_may_look_and_change(
    client: Client, workflow: Workflow, subject: Subject, owner: dict[str, str]
) -> None:
    paths = fill(client, workflow, subject, owner)
    stranger = bearer(make_user())
    for path in set(paths.values()) - {"/caesar/workflows"}:
        assert error_of(client.get(path)) == (401, "not_signed_in"), path
        assert error_of(client.get(path, headers=stranger)) == (403, "forbidden"), path
    assert client.get("/caesar/workflows", headers=stranger).json() == []
    at = base(workflow)
    for path, name in (("extractors", "extractor"), ("reducers", "reducer"), ("subject_rules", "subject_rule")):
        assert error_of(send(client, "post", f"{at}/{path}", {name: {}}, stranger)) == (403, "forbidden")
    known = send(client, "post", "/caesar/workflows", {"workflow": {"id": workflow.pk}}, stranger)
    assert error_of(known) == (403, "forbidden")
    for verb in ("put", "delete"):
        assert error_of(send(client, verb, f"{at}/extractors/q", {"extractor": {}}, stranger)) == (403, "forbidden")
    send(client, "put", at, {"workflow": {"public_extracts": True, "public_reductions": True}}, owner)
    (extract,) = client.get(f"{at}/extractors/q/extracts?subject_id={subject.pk}").json()
    assert (extract["data"], extract["user_id"]) == ({"0": 1}, None), "everybody sees what, and not who"
    assert len(client.get(f"{at}/subjects/{subject.pk}/reductions?reducer_key=n").json()) == 1
    assert error_of(client.get(paths["/caesar/workflows/{id}/users/{user_id}/reductions"])) == (401, "not_signed_in")
    assert error_of(client.get(f"{at}/extractors")) == (401, "not_signed_in")


def test_what_was_made_is_changed_and_deleted(
    client: Client, workflow: Workflow, subject: Subject, owner: dict[str, str]
) -> None:
    paths = fill(client, workflow, subject, owner)
    at = base(workflow)
    changed = send(client, "put", f"{at}/extractors/q", {"extractor": {"key": "w", "type": "who"}}, owner).json()
    assert (changed["key"], changed["type"], changed["task_key"]) == ("w", "who", "T0")
    changed = send(client, "put", f"{at}/reducers/n", {"reducer": {"filters": {"from": 1}}}, owner).json()
    assert (changed["key"], changed["type"], changed["filters"]) == ("n", "count", {"from": 1})
    rule = paths["/caesar/workflows/{id}/subject_rules/{rule_id}"]
    new = {"condition_string": '["const", false]'}
    assert send(client, "put", rule, {"subject_rule": new}, owner).json()["condition"] == ["const", False]
    effect = paths["/caesar/workflows/{id}/subject_rules/{rule_id}/subject_rule_effects/{effect_id}"]
    sent = {"subject_rule_effect": {"config": {"reason": "flagged"}}}
    assert send(client, "put", effect, sent, owner).json()["config"] == {"reason": "flagged"}
    for path in (effect, rule, f"{at}/extractors/w", f"{at}/reducers/n"):
        assert client.delete(path, headers=owner).status_code == 204
        assert client.get(path, headers=owner).status_code == 404
    assert not SubjectRule.objects.filter(active=True).exists()


def test_what_is_made_elsewhere_is_written_and_followed(
    client: Client, workflow: Workflow, subject: Subject, owner: dict[str, str]
) -> None:
    at = base(workflow)
    send(client, "post", f"{at}/extractors", {"extractor": {"type": "who", "key": "machine"}}, owner)
    for key, kind in (("later", "placeholder"), ("n", "count")):
        send(client, "post", f"{at}/reducers", {"reducer": {"type": kind, "key": key}}, owner)
    body = {"reduction": {"subject_id": subject.pk, "data": {"done": True}}}
    (written,) = send(client, "put", f"{at}/subject_reductions/later", body, owner).json()
    assert (written["data"], written["reducer_key"]) == ({"done": True}, "later")
    assert error_of(send(client, "put", f"{at}/subject_reductions/n", body, owner)) == (403, "forbidden")
    extract = {"extract": {"subject_id": str(subject.pk), "data": {"p": 0.5}}}
    for _ in range(2):
        answer = send(client, "put", f"{at}/extractors/machine/extracts", extract, owner).json()
        assert (answer["machine_data"], answer["data"]) == (True, {"p": 0.5})
    assert len(client.get(f"{at}/extractors/machine/extracts?subject_id={subject.pk}", headers=owner).json()) == 1
    author = make_user()
    of_user = {"reduction": {"user_id": author.pk, "data": {"skill": 1}}}
    assert error_of(send(client, "put", f"{at}/user_reductions/later", of_user, owner)) == (404, "not_found")
    classify(workflow, subject, author.volunteer, T0=0)
    (written,) = send(client, "put", f"{at}/user_reductions/later", of_user, owner).json()
    assert (written["user_id"], written["data"]) == (author.pk, {"skill": 1})


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        ("extractors", {}, (422, "invalid_request")),
        ("extractors", [], (422, "invalid_request")),
        ("extractors", {"extractor": []}, (422, "invalid_request")),
        ("extractors", {"extractor": {"type": "question", "key": "k"}, "more": 1}, (422, "invalid_request")),
        ("extractors", {"extractor": {"type": "magic", "key": "k"}}, (422, "caesar_configuration")),
        ("extractors", {"extractor": {"type": "who", "key": "taken"}}, (422, "caesar_configuration")),
        (
            "extractors",
            {"extractor": {"type": "external", "key": "k", "url": "https://10.0.0.1/"}},
            (422, "outbound_address"),
        ),
        ("reducers", {"reducer": {"type": "sqs", "key": "k"}}, (422, "caesar_unsupported")),
        ("reducers", {"reducer": {"type": "count", "key": "subject"}}, (422, "caesar_configuration")),
        ("subject_rules", {"subject_rule": {}}, (422, "invalid_rule")),
        ("subject_rules", {"subject_rule": {"condition_string": "[" * 5_000}}, (422, "invalid_rule")),
        ("subject_rules", {"subject_rule": {"condition_string": '["gte"]'}}, (422, "invalid_rule")),
        ("subject_rules", {"subject_rule": {"condition": {"a": 1}}}, (422, "invalid_rule")),
        ("extracts/import", {"file": "https://192.168.0.1/x.csv"}, (422, "outbound_address")),
        ("extracts/import", {"file": None}, (422, "caesar_configuration")),
        ("extracts/import", {"url": "https://science.example.org/x.csv"}, (422, "invalid_request")),
        ("subject_rules/999/subject_rule_effects", {"subject_rule_effect": {}}, (404, "not_found")),
        ("subject_rules/x/subject_rule_effects", {"subject_rule_effect": {}}, (422, "invalid_request")),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(
    client: Client, workflow: Workflow, owner: dict[str, str], path: str, body: Any, refusal: tuple[int, str]
) -> None:
    objects.save_extractor(workflow, {"type": "who", "key": "taken"})
    assert error_of(send(client, "post", f"{base(workflow)}/{path}", body, owner)) == refusal


def test_an_unknown_workflow_is_named_as_caesar_names_it(client: Client, workflow: Workflow) -> None:
    for pk, headers in ((workflow.pk, bearer(workflow.project.owner)), (999_999, {})):
        answer = client.get(f"/caesar/workflows/{pk}", headers=headers)
        assert error_of(answer) == (404, "caesar_workflow_not_found")
        assert answer.json()["errors"][0]["message"] == f"Couldn't find Workflow with 'id'={pk}"
    assert error_of(client.get("/caesar/workflows/x")) == (422, "invalid_request")
    assert error_of(client.get("/caesar/nothing")) == (404, "unknown_route")
    foreign = {"public_extracts": "yes"}, {"status": "asleep"}, {"rules_applied": 3}, {"surprise": 1}
    for sent in foreign:
        body = {"workflow": {"id": workflow.pk, **sent}}
        refused = send(client, "post", "/caesar/workflows", body, bearer(workflow.project.owner))
        assert error_of(refused) == (422, "caesar_configuration")


def test_there_are_never_more_objects_than_can_be_followed(
    client: Client, workflow: Workflow, owner: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MOST_OBJECTS", 1)
    for code in ("", "caesar_configuration"):
        body = {"extractor": {"type": "who", "key": f"k{code}"}}
        answer = send(client, "post", f"{base(workflow)}/extractors", body, owner)
        assert answer.status_code == 201 if not code else error_of(answer) == (422, code)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["extractor", "reducer", "subject_rule", "type", "key", "config", "action"]), inner
        )
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON, path=st.sampled_from(["extractors", "reducers", "subject_rules", "user_rules", "extracts/import"]))
def test_no_body_whatsoever_breaks_the_server(
    client: Client, workflow: Workflow, owner: dict[str, str], body: Any, path: str
) -> None:
    answer = send(client, "post", f"{base(workflow)}/{path}", body, owner)
    assert answer.status_code in {201, 400, 422}, answer.content
