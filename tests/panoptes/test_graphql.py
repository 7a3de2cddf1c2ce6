"""`/graphql`: a machine's marks as Zooniverse's classifier asks for them, and what cannot be read."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from esocs.crowd.caesar.objects import save_reducer, save_workflow
from esocs.crowd.models import SubjectReduction
from esocs.panoptes.caesar.graphql import GraphqlError, read_query
from esocs.projects.models import Subject, Workflow
from tests.panoptes.bodies import bearer
from tests.support.factories import make_user

MARKS = {"frame0": {"T0_toolIndex0_x": [10.5], "T0_toolIndex0_y": [3.25]}}


@pytest.fixture
def reduced(workflow: Workflow, subject: Subject) -> Subject:
    save_workflow(workflow, {"public_reductions": True})
    for key in ("machineLearnt", "other"):
        reducer = save_reducer(workflow, {"type": "placeholder", "key": key})
        SubjectReduction.objects.create(reducer=reducer, subject=subject, subgroup="_default", data=MARKS)
    return subject


def ask(client: Client, query: Any, variables: Any = None, **headers: str) -> Any:
    body = {"query": query} | ({} if variables is None else {"variables": variables})
    answer = client.post("/graphql", json.dumps(body), content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.django_db
def test_a_machines_marks_are_told_to_everybody_where_reductions_are_public(
    client: Client, workflow: Workflow, reduced: Subject
) -> None:
    query = f"""{{
      workflow(id: {workflow.pk}) {{
        subject_reductions(subjectId: {reduced.pk}, reducerKey:"machineLearnt") {{
          data
        }}
      }}
    }}"""
    assert ask(client, query) == {"data": {"workflow": {"subject_reductions": [{"data": MARKS}]}}}
    named = """query Marks($workflow: ID!, $subject: ID!, $key: String = "other") {
      it: workflow(id: $workflow) { id found: reductions(subject_id: $subject, reducer_key: $key) {
        reducerKey subject_id reducible { type } } }
    }"""
    told = ask(client, named, {"workflow": str(workflow.pk), "subject": str(reduced.pk)})
    [found] = told["data"]["it"]["found"]
    assert found == {"reducerKey": "other", "subject_id": reduced.pk, "reducible": {"type": "Workflow"}}
    save_workflow(workflow, {"public_reductions": False})
    refused = ask(client, query)
    assert (refused["data"], refused["errors"][0]["extensions"]["code"]) == (None, "not_signed_in")
    assert ask(client, query, **bearer(make_user()))["errors"][0]["extensions"]["code"] == "forbidden"
    assert ask(client, query, **bearer(workflow.project.owner))["data"]["workflow"]["subject_reductions"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "code"),
    [
        (None, "graphql"),
        (5, "graphql"),
        ("", "graphql"),
        ("{", "graphql"),
        ("{}", "graphql"),
        ("{workflow}", "invalid_request"),
        ("{workflow(id: -1) {id}}", "invalid_request"),
        ("{workflow(id: 1) {}}", "graphql"),
        ("{workflow(id: 1) {secrets}}", "graphql"),
        ("{workflow(id: 999999) {reducers {id}}}", "caesar_workflow_not_found"),
        ("{workflow(id: $id) {id}}", "graphql"),
        ("mutation {workflow(id: 1) {id}}", "graphql"),
        ("{workflow(id: 1) {...all}} fragment all on Workflow {id}", "graphql"),
        ("{workflow(id: 1) {id}} {workflow(id: 1) {id}}", "graphql"),
        ("{a" * 30 + "}" * 30, "graphql"),
        ("{" + "workflow(id: 1) {id} " * 201 + "}", "graphql"),
        ("{__schema {types {name}}}", "graphql"),
        ("x" * 5_001, "graphql"),
    ],
)
def test_what_cannot_be_answered_is_told_in_errors(client: Client, query: Any, code: str) -> None:
    told = ask(client, query)
    assert (told["data"], told["errors"][0]["extensions"]["code"]) == (None, code)


def test_texts_numbers_and_constants_are_read() -> None:
    [field] = read_query('# marks\n{a: b(c: "é \\"x\\"", d: -1.5, e: [1] )}'.replace(", e: [1] ", ", e: true, f: null"))
    assert (field.name, field.alias) == ("b", "a")
    assert field.arguments == {"c": 'é "x"', "d": -1.5, "e": True, "f": None}


@given(st.text(alphabet='{}()[]:!$=",\\ ab1.\n#query', max_size=60), st.none() | st.dictionaries(st.text(), st.none()))
def test_any_text_is_read_or_refused(text: str, variables: Any) -> None:
    with suppress(GraphqlError):
        assert read_query(text, variables)
