"""Votes to export, and exports made in this process and read back."""

from __future__ import annotations

import csv
import gzip
import uuid
from typing import Any

from esocs.accounts.models import Volunteer
from esocs.crowd.services import Recorded, Submission, record_classification
from esocs.jobs import services as jobs
from esocs.projects.models import Project, Subject, Workflow
from esocs.releases import queries, tasks
from esocs.releases.models import Export
from esocs.releases.services import request_export

assert tasks.make_export, "importing it registers the job's handler"

METADATA = {
    "started_at": "2026-01-31T12:00:00.000Z",
    "finished_at": "2026-01-31T12:00:02.500Z",
    "user_agent": "test",
    "user_language": "en",
    "live_project": True,
}


def vote(workflow: Workflow, subject: Subject, volunteer: Volunteer, value: Any = 0, **fields: Any) -> Recorded:
    """One classification, answering the workflow's first task."""
    return record_classification(
        Submission(
            workflow_id=workflow.pk,
            subject_ids=[subject.pk],
            volunteer_id=volunteer.pk,
            user_id=volunteer.user_id,
            idempotency_key=uuid.uuid4().hex,
            **{
                "annotations": [{"task": workflow.first_task, "value": value}],
                "metadata": dict(METADATA),
                "workflow_version": workflow.version,
                **fields,
            },
        )
    )


def make_export(
    project: Project, kind: str = "classifications", workflow: Workflow | None = None, **scope: Any
) -> Export:
    """An export, made as a worker makes it."""
    ordered = request_export(project=project, workflow=workflow, kind=kind, **scope)
    job_id = queries.find_job_id(ordered)
    assert job_id is not None
    jobs.drain([job_id])
    export = queries.find_export(ordered.pk)
    assert export is not None
    assert export.state == Export.State.READY, queries.find_failure(export)
    return export


def read_export(export: Export) -> list[dict[str, str]]:
    """The rows of a ready export by column name."""
    with gzip.open(queries.export_path(export), "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_header(export: Export) -> str:
    with gzip.open(queries.export_path(export), "rt", encoding="utf-8", newline="") as file:
        return file.readline()
