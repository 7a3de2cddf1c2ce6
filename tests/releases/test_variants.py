"""Exports of a subject set, of a part, one annotation a row, as Parquet and under pseudonyms."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from esocs.crowd.models import Classification
from esocs.projects.models import Workflow
from esocs.releases.models import Export
from esocs.releases.queries import Variant, export_path
from esocs.releases.services import ExportVariantError, request_export, write_export
from tests.releases.exporting import METADATA, make_export, read_export, vote
from tests.support.factories import make_project, make_subject, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    workflow = make_workflow()
    subjects = [make_subject(workflow.project, published_in=workflow) for _ in range(3)]
    people = [make_volunteer(anonymous=False), make_volunteer()]
    for subject in subjects:
        for value, person in enumerate(people):
            vote(workflow, subject, person, value, ip_key="an-address", metadata={**METADATA, "session": "abc"})
    return workflow


def test_a_subject_sets_export_holds_its_subjects_in_all_workflows(workflow: Workflow) -> None:
    subject = workflow.project.subjects.order_by("id")[1]
    chosen = workflow.project.subject_sets.create(display_name="chosen")
    chosen.members.create(subject=subject)
    other = make_workflow(workflow.project)
    other.subject_sets.set([chosen])
    rows = read_export(make_export(workflow.project, subject_set=chosen))
    assert [row["subject_ids"] for row in rows] == [str(subject.pk)] * 2
    rows = read_export(make_export(workflow.project, "subjects", subject_set=chosen))
    assert [(row["subject_id"], row["workflow_id"]) for row in rows] == [(str(subject.pk), str(other.pk))]
    with pytest.raises(ExportVariantError):
        request_export(project=workflow.project, kind="workflows", subject_set=chosen)


def test_parts_make_the_whole(workflow: Workflow) -> None:
    whole = read_export(make_export(workflow.project))
    last = int(whole[3]["classification_id"])
    ids = [row["classification_id"] for row in whole]
    after = read_export(make_export(workflow.project, variant=Variant(after_id=last)))
    assert [row["classification_id"] for row in after] == ids[4:]
    first = Classification.objects.order_by("id").first()
    assert first is not None
    Classification.objects.filter(pk=first.pk).update(created_at=first.created_at - timedelta(days=1))
    moment = first.created_at - timedelta(hours=1)
    early = read_export(make_export(workflow.project, variant=Variant(created_before=moment)))
    late = read_export(make_export(workflow.project, variant=Variant(created_from=moment)))
    assert [row["classification_id"] for row in early] == ids[:1]
    assert [row["classification_id"] for row in late] == ids[1:]


def test_each_variant_is_an_order_of_its_own(workflow: Workflow) -> None:
    project = workflow.project
    plain = request_export(project=project, kind="classifications")
    named = request_export(project=project, kind="classifications", variant=Variant(pseudonymised=True))
    assert named != plain
    assert request_export(project=project, kind="classifications") == plain
    with pytest.raises(ExportVariantError):
        request_export(project=project, kind="consensus", variant=Variant(pseudonymised=True))
    with pytest.raises(ExportVariantError):
        request_export(project=project, kind="subjects", variant=Variant(after_id=1))


def test_one_annotation_a_row(workflow: Workflow) -> None:
    rows = read_export(make_export(workflow.project, "annotations"))
    assert len(rows) == 6
    assert (rows[0]["task"], rows[0]["task_label"], rows[0]["value"], rows[0]["parts"]) == (
        "T0", "Is it a galaxy?", "Yes", "1",
    )  # fmt: skip
    assert {row["annotation"] for row in rows} == {"0"}


def test_a_parquet_file_has_types_and_the_csvs_values(workflow: Workflow) -> None:
    plain = read_export(make_export(workflow.project))
    export = make_export(workflow.project, variant=Variant(format="parquet"))
    table = pq.read_table(export_path(export))
    assert table.schema.field("classification_id").type == pa.int64()
    assert table.schema.field("created_at").type == pa.timestamp("ms", tz="UTC")
    assert table.schema.field("workflow_version").type == pa.string()
    assert export.row_count == table.num_rows == len(plain)
    assert [str(value) for value in table["classification_id"].to_pylist()] == [r["classification_id"] for r in plain]
    assert table["annotations"].to_pylist() == [row["annotations"] for row in plain]
    moments = [moment.strftime("%Y-%m-%d %H:%M:%S UTC") for moment in table["created_at"].to_pylist()]
    assert moments == [row["created_at"] for row in plain]
    assert table["user_id"].null_count == 3
    again = request_export(project=workflow.project, kind="classifications", variant=Variant(format="parquet"))
    write_export(again, as_of=export.as_of)()
    again.refresh_from_db()
    assert again.sha256 == export.sha256
    for kind in ("annotations", "subjects", "workflows", "consensus"):
        made = make_export(workflow.project, kind, variant=Variant(format="parquet"))
        assert pq.read_metadata(export_path(made)).num_rows == made.row_count


def test_pseudonyms_last_within_a_project_and_lead_to_nobody(workflow: Workflow) -> None:
    variant = Variant(pseudonymised=True)
    first, second = (read_export(make_export(workflow.project, variant=variant)) for _ in range(2))
    names = [row["user_name"] for row in first]
    assert names == [row["user_name"] for row in second]
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"volunteer-[0-9a-f]{20}", name) for name in names)
    known = {row["user_name"] for row in read_export(make_export(workflow.project))}
    assert not known & set(names)
    for row in first:
        assert (row["user_id"], row["user_ip"]) == ("", "")
        assert not {"session", "user_agent", "viewport"} & json.loads(row["metadata"]).keys()
        assert json.loads(row["metadata"])["finished_at"] == METADATA["finished_at"]
    volunteer = Classification.objects.order_by("id")[0].volunteer
    other = make_workflow(make_project())
    vote(other, make_subject(other.project, published_in=other), volunteer)
    [elsewhere] = read_export(make_export(other.project, variant=variant))
    assert elsewhere["user_name"] not in names


def test_a_job_that_begins_again_keeps_its_first_instant(workflow: Workflow) -> None:
    export = request_export(project=workflow.project, kind="classifications")
    write_export(export)  # and is killed before it is published
    began = Export.objects.get(pk=export.pk).as_of
    vote(workflow, make_subject(workflow.project, published_in=workflow), make_volunteer())
    write_export(Export.objects.get(pk=export.pk))()
    done = Export.objects.get(pk=export.pk)
    assert (done.as_of, done.row_count) == (began, 6)


def test_the_command_takes_every_variant(workflow: Workflow, tmp_path: Path) -> None:
    project, [chosen] = str(workflow.project_id), workflow.subject_sets.all()
    call_command("export", "--project", project, "--format", "parquet", "--output", str(tmp_path))
    call_command("export", "--project", project, "--pseudonymised", "--output", str(tmp_path))
    call_command("export", "--project", project, "--subject-set", str(chosen.pk), "--output", str(tmp_path))
    call_command(
        "export", "--project", project, "--kind", "annotations", "--from", "2020-01-01", "--before",
        "2999-01-01T00:00:00Z", "--last-id", "1", "--output", str(tmp_path),
    )  # fmt: skip
    names = {path.name.partition("-")[2] for path in tmp_path.iterdir()}
    for ending in ("classifications.parquet", "consensus.parquet", "pseudonymised.csv", "annotations.csv"):
        assert any(name.endswith(ending) for name in names), ending
