"""Subject sets and subjects as a project's people make them: sets, uploads, what belongs where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Min

from esocs.accounts.models import User
from esocs.projects.editing import InUseError, NotInProjectError, delete_unused, lock_unchanged, save_named
from esocs.projects.media import MOST_LOCATIONS, LocationInvalidError, announce_location, forget_files
from esocs.projects.models import Media, Project, SetMemberSubject, Subject, SubjectSet, Workflow

PRIORITY = "#priority"


@transaction.atomic
def create_subject_set(
    *,
    project: Project,
    display_name: str,
    metadata: Mapping[str, Any] | None = None,
    workflow_ids: Sequence[int] = (),
    subject_ids: Sequence[int] = (),
) -> SubjectSet:
    """Create a subject set, in the workflows and with the subjects named.

    Raises:
        NameTakenError: the project has a set of this name.
        NotInProjectError: a workflow or subject is not one of the project's.
    """
    subject_set = SubjectSet(project=project, display_name=display_name, metadata=dict(metadata or {}))
    save_named(subject_set, display_name)
    link_workflows(subject_set, workflow_ids)
    if subject_ids:
        link_subjects(subject_set, subject_ids)
    return subject_set


@transaction.atomic
def change_subject_set(
    subject_set: SubjectSet, *, changes: Mapping[str, Any], seen_at: datetime | None = None
) -> SubjectSet:
    """Change a subject set's columns by name.

    Raises:
        StaleError: it was changed since `seen_at`.
        NameTakenError: the project has a set of the new name.
    """
    locked = lock_unchanged(SubjectSet.objects.all(), pk=subject_set.pk, seen_at=seen_at)
    for column, value in changes.items():
        setattr(locked, column, value)
    save_named(locked, locked.display_name)
    return locked


def link_workflows(subject_set: SubjectSet, workflow_ids: Sequence[int]) -> list[Workflow]:
    """Have these workflows ask about a set's subjects too.

    Raises:
        NotInProjectError: a workflow is not one of the project's.
    """
    workflows = list(Workflow.objects.filter(project=subject_set.project_id, pk__in=workflow_ids))
    missing = set(workflow_ids) - {row.pk for row in workflows}
    if missing:
        raise NotInProjectError(f"The project has no workflow {min(missing)}.")
    subject_set.workflows.add(*workflows)
    return workflows


@transaction.atomic
def link_subjects(subject_set: SubjectSet, subject_ids: Sequence[int]) -> int:
    """Put subjects into a set; those that are in it already stay as they are. Their `#priority` is their place.

    Returns:
        How many are new in it.

    Raises:
        NotInProjectError: a subject is not one of the project's.
    """
    wanted = set(subject_ids)
    subjects = list(Subject.objects.filter(project=subject_set.project_id, pk__in=wanted).only("id", "metadata"))
    missing = wanted - {subject.pk for subject in subjects}
    if missing:
        raise NotInProjectError(f"The project has no subject {min(missing)}.")
    before = SetMemberSubject.objects.filter(subject_set=subject_set).count()
    SetMemberSubject.objects.bulk_create(
        [
            SetMemberSubject(subject_set=subject_set, subject=subject, priority=read_priority(subject.metadata))
            for subject in sorted(subjects, key=lambda subject: subject.pk)
        ],
        ignore_conflicts=True,
        batch_size=1000,
    )
    return SetMemberSubject.objects.filter(subject_set=subject_set).count() - before


@transaction.atomic
def unlink_subjects(subject_set: SubjectSet, subject_ids: Sequence[int]) -> int:
    """Take subjects out of a set; the subjects stay. Returns how many were in it."""
    removed, _ = SetMemberSubject.objects.filter(subject_set=subject_set, subject__in=subject_ids).delete()
    return removed


def read_priority(metadata: Mapping[str, Any]) -> float | None:
    """A subject's place among the prioritized, from its `#priority`; lower is asked first, None: none."""
    try:
        value = float(metadata.get(PRIORITY, ""))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


@transaction.atomic
def create_subject(
    *,
    project: Project,
    uploader: User | None,
    locations: Sequence[object],
    metadata: Mapping[str, Any] | None = None,
    subject_set_ids: Sequence[int] = (),
) -> Subject:
    """Create a subject of files: announced by media type, to be uploaded, or remote ones by address.

    Raises:
        LocationInvalidError: a location is neither, or there are none or too many.
        MediaTypeUnsupportedError: a file's type is not shown to volunteers.
        NotInProjectError: a subject set is not one of the project's.
    """
    if not 0 < len(locations) <= MOST_LOCATIONS:
        raise LocationInvalidError(f"A subject has 1 to {MOST_LOCATIONS} locations.")
    subject = Subject(project=project, uploader=uploader, metadata=dict(metadata or {}), kind="image")
    media = [announce_location(subject, position, location) for position, location in enumerate(locations)]
    if all(row.media_type == "application/json" for row in media):
        subject.kind = "spectrum"
    subject.save()
    Media.objects.bulk_create(media)
    for subject_set_id in subject_set_ids:
        subject_set = SubjectSet.objects.filter(project=project, pk=subject_set_id).first()
        if subject_set is None:
            raise NotInProjectError(f"The project has no subject set {subject_set_id}.")
        link_subjects(subject_set, [subject.pk])
    return subject


@transaction.atomic
def change_subject(subject: Subject, *, metadata: Mapping[str, Any], seen_at: datetime | None = None) -> Subject:
    """Give a subject other metadata. Its files stay: volunteers have seen them.

    Raises:
        StaleError: it was changed since `seen_at`.
    """
    locked = lock_unchanged(Subject.objects.all(), pk=subject.pk, seen_at=seen_at)
    locked.metadata = dict(metadata)
    locked.save(update_fields=["metadata", "updated_at"])
    SetMemberSubject.objects.filter(subject=locked).update(priority=read_priority(locked.metadata))
    return locked


@transaction.atomic
def delete_subject(subject: Subject) -> None:
    """Delete a subject and its files.

    Raises:
        InUseError: it was classified, or it shows a product of the archive.
    """
    if subject.plane_id is not None:
        raise InUseError("This subject shows a product of the archive.", hint="Take it out of its sets instead.")
    forget_files(Media.objects.filter(subject=subject))
    delete_unused(subject)


def lowest_priorities(subject_ids: Sequence[int], *, workflow_id: int) -> dict[int, float]:
    """Subject id → its foremost place in the sets of a workflow, of those that have one."""
    members = SetMemberSubject.objects.filter(
        subject__in=subject_ids, subject_set__workflows=workflow_id, priority__isnull=False
    )
    return dict(members.values_list("subject_id").annotate(first=Min("priority")).order_by())
