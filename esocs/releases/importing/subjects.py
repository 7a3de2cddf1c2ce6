"""Subjects with their sets, places and addresses, from a subjects export or from what classifications tell of them."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db import connection

from esocs.crowd.elsewhere import Standing, open_subjects
from esocs.crowd.models import SubjectStatus
from esocs.projects.models import Media, Project, SetMemberSubject, Subject, SubjectSet, Workflow
from esocs.releases.importing.reading import Line, read_time
from esocs.releases.models import ImportedProject, ImportedStatus, ImportedSubject, ImportedSubjectSet, ImportedWorkflow

NEEDED = ("subject_id", "metadata", "locations")
LONGEST_ADDRESS = 290


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What the other server said of a subject in a workflow; `classifications_count` None: nothing."""

    foreign_id: int | None = None
    classifications_count: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    retired_at: datetime | None = None
    reason: str = ""


def find_subjects(project: Project, told: Mapping[int, Mapping[str, Any]], *, kind: str) -> dict[int, int]:
    """Our subject of each foreign id; those that are not known yet are made with the metadata given."""
    known = dict(
        ImportedSubject.objects.filter(project=project, foreign_id__in=list(told)).values_list(
            "foreign_id", "subject_id"
        )
    )
    new = {
        foreign_id: Subject(project=project, kind=kind, metadata=metadata)
        for foreign_id, metadata in told.items()
        if foreign_id not in known
    }
    Subject.objects.bulk_create(new.values())
    ImportedSubject.objects.bulk_create(
        ImportedSubject(subject=subject, project=project, foreign_id=foreign_id) for foreign_id, subject in new.items()
    )
    return known | {foreign_id: subject.pk for foreign_id, subject in new.items()}


def keep_progress(workflow: Workflow, told: Mapping[int, Progress]) -> None:
    """Give our subjects their place in a workflow, and keep what the file said of it: the newest file's word stands.

    Args:
        workflow: ours.
        told: by our subjects' ids.
    """
    open_subjects(
        workflow,
        [Standing(subject_id=pk, retired_at=known.retired_at, reason=known.reason) for pk, known in told.items()],
    )
    statuses = SubjectStatus.objects.filter(workflow=workflow, subject__in=list(told))
    rows = [
        ImportedStatus(
            status_id=status_id,
            foreign_id=told[subject_id].foreign_id,
            classifications_count=told[subject_id].classifications_count,
            created_at=told[subject_id].created_at,
            updated_at=told[subject_id].updated_at,
            retired_at=told[subject_id].retired_at,
            retirement_reason=told[subject_id].reason,
        )
        for status_id, subject_id in statuses.values_list("id", "subject_id")
    ]
    # A subjects export knows the counts of open subjects, a classifications export the ids and times of retired ones.
    known = [row for row in rows if row.classifications_count is not None]
    full = [row for row in known if row.foreign_id is not None]
    brief = [row for row in known if row.foreign_id is None]
    facts = ["classifications_count", "retired_at", "retirement_reason"]
    for chosen, columns in ((full, ["foreign_id", "created_at", "updated_at", *facts]), (brief, facts)):
        ImportedStatus.objects.bulk_create(
            chosen, update_conflicts=True, unique_fields=["status"], update_fields=columns
        )
    ImportedStatus.objects.bulk_create(
        [row for row in rows if row.classifications_count is None], ignore_conflicts=True
    )


def count_imported(workflow: Workflow, counted: Mapping[int, int]) -> None:
    """Add to how many classifications of the files count here, by our subjects' ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE releases_importedstatus ist SET counted = counted + x.n
            FROM jsonb_to_recordset(%s::jsonb) AS x(subject_id bigint, n int)
            JOIN crowd_subjectstatus st ON st.subject_id = x.subject_id AND st.workflow_id = %s
            WHERE ist.status_id = st.id""",
            [json.dumps([{"subject_id": pk, "n": n} for pk, n in counted.items()]), workflow.pk],
        )


def write_subjects(project: Project, lines: Sequence[Line], *, kind: str) -> dict[int, Line]:
    """Write one piece of a subjects export: subjects, addresses, sets, and how far they are in each workflow.

    Returns:
        The last line of each of our subjects.

    Raises:
        ImportFileError: a row that cannot be read, or a workflow that no file has described; names the line.
    """
    told = {line.identifier("subject_id"): line.json("metadata", dict, default="{}") for line in lines}
    ours = find_subjects(project, told, kind=kind)
    by_subject = {ours[line.identifier("subject_id")]: line for line in lines}
    _write_facts(by_subject)
    _write_media(by_subject)
    _write_places(project, lines, ours)
    foreign = {line.whole("project_id") for line in lines} - {None}
    if foreign:
        ImportedProject.objects.filter(project=project, foreign_id=None).update(
            foreign_id=min(map(int, map(str, foreign)))
        )
    return by_subject


def _write_facts(by_subject: Mapping[int, Line]) -> None:
    """Times and metadata, as they were there: a subject that classifications told of first has none of the former."""
    rows = []
    for pk, line in by_subject.items():
        times = {name: line.time(name) for name in ("created_at", "updated_at")}
        rows.append(
            {"id": pk, "metadata": line.text("metadata") or "{}"}
            | {name: moment.isoformat() for name, moment in times.items() if moment is not None}
        )
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE projects_subject s SET metadata = x.metadata::jsonb,
                created_at = COALESCE(x.created_at, s.created_at), updated_at = COALESCE(x.updated_at, s.updated_at)
            FROM jsonb_to_recordset(%s::jsonb) AS x(id bigint, metadata text, created_at timestamptz,
                updated_at timestamptz)
            WHERE s.id = x.id""",
            [json.dumps(rows)],
        )


def _write_media(by_subject: Mapping[int, Line]) -> None:
    """Where a subject's pictures lie: they stay on the other server."""
    media = []
    for pk, line in by_subject.items():
        addresses = line.json("locations", dict, default="{}")
        for place, (index, address) in enumerate(addresses.items()):
            if not isinstance(address, str) or len(address) > LONGEST_ADDRESS or not _is_web_address(address):
                raise line.error(f"`locations` holds {str(address)[:60]!r}, which is no address of a picture.")
            position = int(index) if index.isdecimal() and len(index) < 4 else place
            media_type = mimetypes.guess_type(urlsplit(address).path)[0] or "application/octet-stream"
            media.append(
                Media(subject_id=pk, position=position, media_type=media_type[:40], path=address, size_bytes=0)
            )
    Media.objects.bulk_create(media, ignore_conflicts=True)


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _write_places(project: Project, lines: Iterable[Line], ours: Mapping[int, int]) -> None:
    sets: dict[int, SubjectSet] = {}
    workflows = _workflows(project)
    members, links, told = set(), set(), dict[Workflow, dict[int, Progress]]()
    for line in lines:
        subject_id = ours[line.identifier("subject_id")]
        set_id, workflow_id = line.whole("subject_set_id"), line.whole("workflow_id")
        if set_id is not None:
            sets[set_id] = sets.get(set_id) or _subject_set(project, set_id)
            members.add((sets[set_id].pk, subject_id))
        if workflow_id is None:
            continue
        if workflow_id not in workflows:
            raise line.error(f"workflow {workflow_id} is not known.", hint="Give the workflows export too.")
        if set_id is not None:
            links.add((workflows[workflow_id], sets[set_id]))
        told.setdefault(workflows[workflow_id], {})[subject_id] = Progress(
            classifications_count=line.whole("classifications_count") or 0,
            retired_at=line.time("retired_at"),
            reason=line.text("retirement_reason")[:40],
        )
    SetMemberSubject.objects.bulk_create(
        (SetMemberSubject(subject_set_id=set_id, subject_id=pk) for set_id, pk in sorted(members)),
        ignore_conflicts=True,
    )
    for workflow, subject_set in links:
        workflow.subject_sets.add(subject_set)
    for workflow, progress in told.items():
        keep_progress(workflow, progress)


def _workflows(project: Project) -> dict[int, Workflow]:
    rows = ImportedWorkflow.objects.filter(project=project).select_related("workflow")
    return {row.foreign_id: row.workflow for row in rows}


def _subject_set(project: Project, foreign_id: int) -> SubjectSet:
    known = ImportedSubjectSet.objects.filter(project=project, foreign_id=foreign_id).select_related("subject_set")
    found = known.first()
    if found is not None:
        return found.subject_set
    subject_set = SubjectSet.objects.create(project=project, display_name=f"Subject set {foreign_id}")
    ImportedSubjectSet.objects.create(subject_set=subject_set, project=project, foreign_id=foreign_id)
    return subject_set


def read_progress(retired: Any, line: Line) -> Progress:
    """The `retired` member of a classification's `subject_data`."""
    if retired is None:
        return Progress()
    count, foreign_id = retired.get("classifications_count"), retired.get("id")
    numbers = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 31 for n in (count, foreign_id))
    if not numbers or not isinstance(retired.get("retirement_reason"), str | None):
        raise line.error("`subject_data` tells of a retirement that is none.")
    times = {name: retired.get(name) for name in ("created_at", "updated_at", "retired_at")}
    return Progress(
        foreign_id=foreign_id,
        classifications_count=count,
        reason=(retired.get("retirement_reason") or "")[:40],
        **{name: read_time(text, line=line, what=name) if text is not None else None for name, text in times.items()},
    )
