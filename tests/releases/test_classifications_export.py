"""The classifications export: Panoptes' columns, byte for byte where it promises bytes."""

from __future__ import annotations

import gzip
import hashlib
import json
import re

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from esocs.crowd.models import Classification, SubjectStatus
from esocs.projects.models import Workflow, WorkflowVersion
from esocs.releases import queries
from esocs.releases.columns import classifications
from esocs.releases.queries import Variant
from esocs.releases.services import read_scope, request_export, write_export
from esocs.releases.writing import csv_line
from tests.releases.exporting import METADATA, make_export, read_export, read_header, vote
from tests.support.factories import make_project, make_subject, make_user, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db

GOLDEN_HEADER = (
    "classification_id,user_name,user_id,user_ip,workflow_id,workflow_name,workflow_version,created_at,"
    "gold_standard,expert,metadata,annotations,subject_data,subject_ids\n"
)


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow(answers=("Yes, 🌀", '=HYPERLINK("x")', "No\nor maybe"), question="Is it, say, round?")


def test_it_has_panoptes_fourteen_columns_in_their_order(workflow: Workflow) -> None:
    assert read_header(make_export(workflow.project)) == GOLDEN_HEADER


def test_its_lines_are_its_rows_as_csv(workflow: Workflow) -> None:
    awkward = make_workflow(workflow.project, display_name='Rings, "arcs"')
    metadata = [{}, {"retired": "yes"}, {"a": 'say "no"', "b\\": "\\\\", "c": [1, 2.50], "d": "x, y: z\n🌌"}]
    subjects = [make_subject(workflow.project, published_in=awkward, metadata=each) for each in metadata]
    for subject in subjects:
        for volunteer in (
            make_volunteer(),
            make_user("+a-b@c").volunteer if subject is subjects[0] else make_volunteer(),
        ):
            vote(awkward, subject, volunteer, ip_key="x")
            vote(awkward, subject, volunteer, 1, metadata={**METADATA, "user_agent": 'q"\\", "', "n": [1, 2]})
    SubjectStatus.objects.filter(subject=subjects[0]).update(
        state="retired", retired_at=Now(), retirement_reason="consensus"
    )
    for fields in ({}, {"pseudonymised": True}):
        order = request_export(project=workflow.project, kind="classifications", variant=Variant(**fields))
        with transaction.atomic():
            scope = read_scope(order, timezone.now())
            expected = [csv_line(row) for row in classifications.rows(scope)]
            assert list(classifications.lines(scope)) == expected
        assert len(expected) == 12


def test_an_export_of_nothing_is_a_header(workflow: Workflow) -> None:
    export = make_export(workflow.project)
    assert export.row_count == 0
    assert read_export(export) == []
    assert read_export(make_export(make_project())) == []


def test_the_workflows_of_a_project_are_merged_in_the_order_of_the_votes(workflow: Workflow) -> None:
    workflows = [workflow, *(make_workflow(workflow.project) for _ in range(2))]
    subjects = [make_subject(workflow.project, published_in=each) for each in workflows]
    for i in (2, 0, 1, 1, 0, 2):
        vote(workflows[i], subjects[i], make_volunteer())
    make_workflow(workflow.project)  # of which there is nothing
    rows = read_export(make_export(workflow.project))
    assert [row["workflow_id"] for row in rows] == [str(workflows[i].pk) for i in (2, 0, 1, 1, 0, 2)]
    ids = [int(row["classification_id"]) for row in rows]
    assert ids == sorted(ids)


def test_a_row_of_a_logged_in_volunteer_reads_as_panoptes_writes_it(workflow: Workflow) -> None:
    volunteer = make_volunteer(anonymous=False)
    subject = make_subject(workflow.project, published_in=workflow, metadata={"object": "NGC 1, é", "#hidden": 1.5})
    recorded = vote(workflow, subject, volunteer, 0, ip_key="an-address")
    [row] = read_export(make_export(workflow.project))
    assert volunteer.user is not None
    assert row["classification_id"] == str(recorded.id)
    assert row["user_name"] == volunteer.user.login
    assert row["user_id"] == str(volunteer.user_id)
    assert re.fullmatch(r"[0-9a-f]{20}", row["user_ip"])
    assert (row["workflow_id"], row["workflow_name"]) == (str(workflow.pk), workflow.display_name)
    assert row["workflow_version"] == "1.1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", row["created_at"])
    assert (row["gold_standard"], row["expert"]) == ("", "")
    assert json.loads(row["metadata"])["finished_at"] == "2026-01-31T12:00:02.500Z"
    assert row["annotations"] == '[{"task":"T0","task_label":"Is it, say, round?","value":"Yes, 🌀"}]'
    assert row["subject_ids"] == str(subject.pk)
    [(key, data)] = json.loads(row["subject_data"]).items()
    assert key == str(subject.pk)
    assert next(iter(data)) == "retired"
    assert data == {"retired": None, "object": "NGC 1, é", "#hidden": 1.5}


def test_json_columns_are_compact_and_keep_their_letters(workflow: Workflow) -> None:
    subject = make_subject(workflow.project, published_in=workflow, metadata={"a": "é", "b": [1, 2]})
    vote(workflow, subject, make_volunteer())
    [row] = read_export(make_export(workflow.project))
    assert row["subject_data"] == f'{{"{subject.pk}":{{"retired":null,"a":"é","b":[1,2]}}}}'


def test_labels_with_commas_newlines_emoji_and_formula_signs_come_back_whole(workflow: Workflow) -> None:
    subject = make_subject(workflow.project, published_in=workflow)
    for value in range(3):
        vote(workflow, subject, make_volunteer(), value)
    rows = read_export(make_export(workflow.project))
    labels = [json.loads(row["annotations"])[0]["value"] for row in rows]
    assert labels == ["Yes, 🌀", '=HYPERLINK("x")', "No\nor maybe"]


def test_labels_are_those_of_the_version_that_was_answered(workflow: Workflow) -> None:
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, make_volunteer(), 0)
    first = workflow.versions.get()
    WorkflowVersion.objects.create(
        workflow=workflow,
        major=1,
        minor=2,
        first_task="T0",
        tasks=first.tasks,
        strings={**first.strings, "T0.answers.0.label": "Certainly"},
    )
    vote(workflow, subject, make_volunteer(), 0, workflow_version="1.2")
    rows = read_export(make_export(workflow.project))
    assert [row["workflow_version"] for row in rows] == ["1.1", "1.2"]
    assert [json.loads(row["annotations"])[0]["value"] for row in rows] == ["Yes, 🌀", "Certainly"]


def test_an_anonymous_volunteer_has_one_name_in_a_file_and_another_in_the_next(workflow: Workflow) -> None:
    volunteer, other = make_volunteer(), make_volunteer()
    subjects = [make_subject(workflow.project, published_in=workflow) for _ in range(2)]
    for subject in subjects:
        vote(workflow, subject, volunteer, ip_key="one-address")
    vote(workflow, subjects[0], other, ip_key="one-address")
    first = read_export(make_export(workflow.project))
    names = [row["user_name"] for row in first]
    assert names[0] == names[1] != names[2]
    assert names[0] == f"not-logged-in-{first[0]['user_ip']}"
    assert first[0]["user_id"] == ""


def test_pseudonyms_differ_between_instants() -> None:
    from datetime import UTC, datetime

    from esocs.releases.columns.classifications import pseudonyms

    one, two = (pseudonyms(datetime(2026, 1, day, tzinfo=UTC))("volunteer:1") for day in (1, 2))
    assert one != two
    assert re.fullmatch(r"[0-9a-f]{20}", one)


def test_a_repeat_is_exported_and_marked_as_seen_before(workflow: Workflow) -> None:
    volunteer = make_volunteer()
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, volunteer, 0)
    vote(workflow, subject, volunteer, 1)
    first, second = (json.loads(row["metadata"]) for row in read_export(make_export(workflow.project)))
    assert "seen_before" not in first
    assert second["seen_before"] is True


def test_a_gold_standard_says_who_set_it(workflow: Workflow) -> None:
    owner = workflow.project.owner
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, owner.volunteer, 1, gold_standard=True)
    [row] = read_export(make_export(workflow.project))
    assert (row["gold_standard"], row["expert"]) == ("true", "owner")


def test_a_retired_subject_says_when_and_why(workflow: Workflow) -> None:
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, make_volunteer())
    SubjectStatus.objects.filter(subject=subject).update(
        state="retired", retired_at=Now(), retirement_reason="consensus"
    )
    [row] = read_export(make_export(workflow.project))
    retired = json.loads(row["subject_data"])[str(subject.pk)]["retired"]
    assert list(retired) == [
        "id",
        "workflow_id",
        "classifications_count",
        "created_at",
        "updated_at",
        "retired_at",
        "subject_id",
        "retirement_reason",
    ]
    assert (retired["subject_id"], retired["retirement_reason"]) == (subject.pk, "consensus")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", retired["retired_at"])


def test_a_subject_metadata_key_named_retired_takes_the_place_of_ours_as_in_panoptes(workflow: Workflow) -> None:
    subject = make_subject(workflow.project, published_in=workflow, metadata={"retired": "from work"})
    vote(workflow, subject, make_volunteer())
    [row] = read_export(make_export(workflow.project))
    assert json.loads(row["subject_data"]) == {str(subject.pk): {"retired": "from work"}}


def test_an_export_of_a_workflow_holds_that_workflow_alone(workflow: Workflow) -> None:
    other = make_workflow(workflow.project)
    for each in (workflow, other):
        vote(each, make_subject(workflow.project, published_in=each), make_volunteer())
    assert {row["workflow_id"] for row in read_export(make_export(workflow.project))} == {
        str(workflow.pk),
        str(other.pk),
    }
    rows = read_export(make_export(workflow.project, workflow=other))
    assert [row["workflow_id"] for row in rows] == [str(other.pk)]


def test_no_other_projects_rows_are_in_it(workflow: Workflow) -> None:
    stranger = make_workflow(make_project())
    vote(stranger, make_subject(stranger.project, published_in=stranger), make_volunteer())
    assert read_export(make_export(workflow.project)) == []


def test_the_row_says_what_is_true_of_the_file(workflow: Workflow) -> None:
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, make_volunteer())
    export = make_export(workflow.project)
    plain = gzip.decompress(queries.export_path(export).read_bytes())
    assert export.row_count == 1 == Classification.objects.count()
    assert export.sha256 == hashlib.sha256(plain).hexdigest()
    assert export.size_bytes == len(plain)
    assert export.as_of is not None


def test_an_export_made_again_as_of_the_same_instant_is_the_same_file(workflow: Workflow) -> None:
    subject = make_subject(workflow.project, published_in=workflow)
    vote(workflow, subject, make_volunteer(), ip_key="an-address")
    first = make_export(workflow.project)
    vote(workflow, subject, make_volunteer())
    again = request_export(project=workflow.project, kind="classifications")
    write_export(again, as_of=first.as_of)()
    again.refresh_from_db()
    assert (again.row_count, again.sha256, again.as_of) == (1, first.sha256, first.as_of)


def test_a_login_may_look_like_a_formula(workflow: Workflow) -> None:
    user = make_user("+1+cmd")
    vote(workflow, make_subject(workflow.project, published_in=workflow), user.volunteer)
    [row] = read_export(make_export(workflow.project))
    assert row["user_name"] == "+1+cmd"
