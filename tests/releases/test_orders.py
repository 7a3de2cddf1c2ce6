"""Ordering exports: by the service, by the job and by the command."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.releases import queries
from esocs.releases.models import Export
from esocs.releases.services import UnknownExportKindError, request_export, write_export
from tests.releases.exporting import make_export, vote
from tests.support.factories import make_project, make_subject, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db


def test_an_order_is_a_row_and_a_job() -> None:
    export = request_export(project=make_project(), kind="classifications")
    assert export.state == Export.State.CREATING
    job = Job.objects.get(kind="releases.export")
    assert (job.queue, job.payload) == ("export", {"export_id": export.pk})


def test_a_second_order_gets_the_export_that_is_being_made() -> None:
    project = make_project()
    first = request_export(project=project, kind="classifications")
    assert request_export(project=project, kind="classifications") == first
    assert request_export(project=project, kind="subjects") != first


def test_a_new_order_after_a_ready_export_makes_a_new_one() -> None:
    project = make_project()
    first = make_export(project)
    assert request_export(project=project, kind="classifications") != first


def test_a_failed_export_says_why_and_can_be_ordered_again() -> None:
    project = make_project()
    first = request_export(project=project, kind="classifications")
    Job.objects.update(state=Job.State.FAILED, last_error="disk_full: no room\nTraceback")
    assert queries.find_failure(first) == "disk_full: no room"
    assert request_export(project=project, kind="classifications") != first


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownExportKindError):
        request_export(project=make_project(), kind="talk_comments")


def test_the_job_done_twice_publishes_once() -> None:
    workflow = make_workflow()
    vote(workflow, make_subject(workflow.project, published_in=workflow), make_volunteer())
    export = request_export(project=workflow.project, kind="classifications")
    effects = [write_export(export), write_export(export)]
    effects[0]()
    first = Export.objects.get(pk=export.pk)
    effects[1]()
    assert Export.objects.get(pk=export.pk).updated_at == first.updated_at
    assert queries.export_path(first).exists()


def test_a_job_whose_export_was_deleted_fails_at_once() -> None:
    export = request_export(project=make_project(), kind="classifications")
    job_id = queries.find_job_id(export)
    assert job_id is not None
    export.delete()
    jobs.drain([job_id])
    assert Job.objects.get(pk=job_id).state == Job.State.FAILED


def test_the_command_writes_every_kind_as_a_plain_file(tmp_path: Path) -> None:
    workflow = make_workflow(make_project(display_name="Round Things"))
    vote(workflow, make_subject(workflow.project, published_in=workflow), make_volunteer())
    printed = io.StringIO()
    call_command("export", "--project", workflow.project.slug, "--output", str(tmp_path / "out"), stdout=printed)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        f"round-things-{kind}.csv" for kind in ("classifications", "consensus", "credits", "subjects", "workflows")
    ]
    with (tmp_path / "out" / names[0]).open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1
    assert "classifications" in printed.getvalue()


def test_the_command_takes_a_number_one_workflow_and_one_kind() -> None:
    workflow = make_workflow()
    printed = io.StringIO()
    call_command(
        "export", "--project", str(workflow.project_id), "--workflow", str(workflow.pk), "--kind", "workflows",
        stdout=printed,
    )  # fmt: skip
    assert printed.getvalue().split()[:3] == ["workflows", "1", "rows"]


def test_the_command_says_what_is_not_there() -> None:
    with pytest.raises(CommandError, match="project_not_found"):
        call_command("export", "--project", "nobody/nothing")
    with pytest.raises(CommandError, match="workflow_ambiguous"):
        call_command("export", "--project", str(make_project().pk), "--workflow", "9")
