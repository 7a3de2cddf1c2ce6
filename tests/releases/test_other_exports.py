"""The exports of subjects, workflows and consensus."""

from __future__ import annotations

import json

import pytest
from django.db.models.functions import Now

from esocs.archive.models import IngestBatch, Plane, Product, Shard
from esocs.crowd.models import SubjectStatus
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion, Prediction, Route, RoutingPolicy
from esocs.projects.models import Subject, SubjectSet, Workflow, WorkflowVersion
from tests.releases.exporting import make_export, read_export, read_header, vote
from tests.support.factories import make_project, make_subject, make_user, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db


# --- credits ------------------------------------------------------------------------------------------------------


def test_only_who_chose_a_name_is_credited_and_by_that_name_alone() -> None:
    workflow = make_workflow()
    subjects = [make_subject(workflow.project, published_in=workflow) for _ in range(2)]
    named, silent = make_user("login-1", credited_name="=A. Star"), make_user("login-2")
    for subject in subjects:
        vote(workflow, subject, named.volunteer)
    vote(workflow, subjects[0], silent.volunteer)
    vote(workflow, subjects[0], make_volunteer())
    [row] = read_export(make_export(workflow.project, "credits"))
    assert (row["credited_name"], row["classifications"]) == ("=A. Star", "2")
    assert list(row) == ["credited_name", "classifications", "first_at", "last_at"]
    assert row["first_at"] <= row["last_at"]


# --- subjects -----------------------------------------------------------------------------------------------------


def test_subjects_have_panoptes_eleven_columns_in_their_order() -> None:
    assert read_header(make_export(make_project(), "subjects")) == (
        "subject_id,project_id,workflow_id,subject_set_id,metadata,locations,classifications_count,retired_at,"
        "retirement_reason,created_at,updated_at\n"
    )


def test_a_subject_in_a_set_of_two_workflows_has_two_rows() -> None:
    workflow = make_workflow()
    [subject_set] = workflow.subject_sets.all()
    other = make_workflow(workflow.project)
    other.subject_sets.add(subject_set)
    subject = make_subject(workflow.project, published_in=workflow, metadata={"object": "M 51"})
    vote(workflow, subject, make_volunteer())
    SubjectStatus.objects.update(state="retired", retired_at=Now(), retirement_reason="consensus")
    rows = read_export(make_export(workflow.project, "subjects"))
    assert [(row["workflow_id"], row["subject_set_id"]) for row in rows] == [
        (str(workflow.pk), str(subject_set.pk)),
        (str(other.pk), str(subject_set.pk)),
    ]
    assert [row["classifications_count"] for row in rows] == ["1", "0"]
    assert [row["retirement_reason"] for row in rows] == ["consensus", ""]
    assert json.loads(rows[0]["metadata"]) == {"object": "M 51"}
    [(index, address)] = json.loads(rows[0]["locations"]).items()
    assert index == "0"
    assert address.startswith("http://127.0.0.1:8000/media/")
    assert address.endswith(".jpg")


def test_a_set_without_a_workflow_leaves_the_workflow_empty_and_no_set_leaves_both() -> None:
    project = make_project()
    alone, in_set = make_subject(project), make_subject(project)
    subject_set = SubjectSet.objects.create(project=project, display_name="a set")
    in_set.set_members.create(subject_set=subject_set)
    rows = {row["subject_id"]: row for row in read_export(make_export(project, "subjects"))}
    assert (rows[str(alone.pk)]["workflow_id"], rows[str(alone.pk)]["subject_set_id"]) == ("", "")
    assert (rows[str(in_set.pk)]["workflow_id"], rows[str(in_set.pk)]["subject_set_id"]) == ("", str(subject_set.pk))


def test_a_subject_published_without_a_set_has_its_workflow() -> None:
    workflow = make_workflow()
    subject = make_subject(workflow.project, published_in=workflow)
    subject.set_members.all().delete()
    [row] = read_export(make_export(workflow.project, "subjects"))
    assert (row["workflow_id"], row["subject_set_id"]) == (str(workflow.pk), "")


# --- workflows ----------------------------------------------------------------------------------------------------


def test_workflows_have_panoptes_sixteen_columns_in_their_order() -> None:
    assert read_header(make_export(make_project(), "workflows")) == (
        "workflow_id,display_name,version,active,classifications_count,pairwise,grouped,prioritized,primary_language,"
        "first_task,tutorial_subject_id,retired_set_member_subjects_count,tasks,retirement,strings,minor_version\n"
    )


def test_there_is_one_row_a_version() -> None:
    workflow = make_workflow(answers=("Yes 🌌", "null"))
    first = workflow.versions.get()
    WorkflowVersion.objects.create(
        workflow=workflow, major=2, minor=1, first_task="T0", tasks=first.tasks, strings=first.strings
    )
    rows = read_export(make_export(workflow.project, "workflows"))
    assert [(row["version"], row["minor_version"]) for row in rows] == [("1", "1"), ("2", "1")]
    assert rows[0]["active"] == "true"
    assert rows[0]["pairwise"] == "false"
    assert json.loads(rows[0]["tasks"])["T0"]["question"] == "T0.question"
    # The aggregation tools read this column with Python's eval.
    assert eval(rows[0]["strings"])["T0.answers.0.label"] == "Yes 🌌"


# --- consensus ----------------------------------------------------------------------------------------------------


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow(answers=("Spiral", "Edge-on"), retirement={"criteria": "never_retire"})


def _with_product(subject: Subject, dp_id: str) -> Subject:
    batch = IngestBatch.objects.create(source="test")
    product = Product.objects.create(
        batch=batch, uri=dp_id, dp_id=dp_id, sha256=dp_id, state="ingested", kind="image", ra_deg=10.0, dec_deg=-20.0
    )
    shard = Shard.objects.create(batch=batch, kind="image", path=dp_id, sha256=dp_id, shape=[1])
    plane = Plane.objects.create(product=product, number=0, shard=shard, shard_index=0, ra_deg=10.5)
    Subject.objects.filter(pk=subject.pk).update(plane=plane)
    return subject


def _route(workflow: Workflow, subject: Subject, decision: str, answer: int, score: float) -> Route:
    model, _ = ModelVersion.objects.get_or_create(
        workflow=workflow, number=3, defaults={"class_names": ["Spiral", "Edge-on"], "training_prior": [0.5, 0.5]}
    )
    policy, _ = RoutingPolicy.objects.get_or_create(
        model_version=model,
        number=1,
        defaults={"alpha": 0.01, "delta": 0.05, "audit_share": 0.02, "ood_p_min": 0.01, "calibrated_on": 1},
    )
    prediction = Prediction.objects.create(
        subject=subject, model_version=model, probabilities=[0.5, 0.5], embedding=[0.0] * EMBEDDING_DIMENSIONS
    )
    return Route.objects.create(
        prediction=prediction,
        policy=policy,
        decision=decision,
        reason="test",
        answer=answer,
        score=score,
        probability=score,
        ood_p=1.0,
        information_bits=0.0,
    )


def test_the_consensus_of_volunteers_stands_beside_the_machines_answer(workflow: Workflow) -> None:
    subject = _with_product(make_subject(workflow.project, published_in=workflow), "ADP.2026-01-01")
    route = _route(workflow, subject, "volunteers", 1, 0.6)
    SubjectStatus.objects.filter(subject=subject).update(route=route)
    for value in (0, 0, 1):
        vote(workflow, subject, make_volunteer(), value)
    [row] = read_export(make_export(workflow.project, "consensus"))
    assert (row["dp_id"], row["ra"], row["dec"]) == ("ADP.2026-01-01", "10.5", "-20.0")
    assert (row["task"], row["answer"], row["source"], row["votes"]) == ("T0", "Spiral", "volunteers", "3")
    assert (row["votes_spiral"], row["votes_edge_on"]) == ("2", "1")
    assert 0.5 < float(row["probability"]) < 1
    assert (row["machine_answer"], row["machine_probability"], row["model_version"]) == ("Edge-on", "0.600000", "3")
    assert (row["route"], row["state"], row["majority"]) == ("volunteers", "open", "Spiral")


def test_what_the_machine_kept_is_in_the_catalogue_too(workflow: Workflow) -> None:
    subject = make_subject(workflow.project)
    _route(workflow, subject, "accept", 0, 0.999)
    [row] = read_export(make_export(workflow.project, "consensus", workflow))
    assert (row["subject_id"], row["answer"], row["source"]) == (str(subject.pk), "Spiral", "machine")
    assert (row["probability"], row["route"], row["state"], row["votes"]) == ("0.999000", "accept", "", "0")


def test_a_subject_that_nobody_answered_has_no_answer(workflow: Workflow) -> None:
    make_subject(workflow.project, published_in=workflow)
    [row] = read_export(make_export(workflow.project, "consensus"))
    assert (row["answer"], row["probability"], row["source"], row["votes"]) == ("", "", "", "0")


def test_an_experts_answer_stands_above_the_crowds(workflow: Workflow) -> None:
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, make_volunteer(), 0)
    vote(workflow, subject, workflow.project.owner.volunteer, 1, gold_standard=True)
    [row] = read_export(make_export(workflow.project, "consensus"))
    assert (row["answer"], row["source"], row["probability"]) == ("Edge-on", "expert", "1.000000")
    assert row["votes_spiral"] == "1"


def test_a_project_of_two_questions_has_a_column_for_each_answer(workflow: Workflow) -> None:
    other = make_workflow(workflow.project, answers=("Star", "Spiral"))
    vote(other, make_subject(workflow.project, published_in=other), make_volunteer(), 0)
    vote(workflow, make_subject(workflow.project, published_in=workflow), make_volunteer(), 0)
    first, second = read_export(make_export(workflow.project, "consensus"))
    assert (first["votes_spiral"], first["votes_edge_on"], first["votes_star"]) == ("1", "0", "")
    assert (second["votes_spiral"], second["votes_edge_on"], second["votes_star"]) == ("0", "", "1")
