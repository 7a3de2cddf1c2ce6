"""Copies, as Panoptes makes them: of a template project, and of workflows and subject sets into another project."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Model, QuerySet

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.projects import services
from esocs.projects.editing import Row, change_project
from esocs.projects.media import new_path, write_file
from esocs.projects.models import Project, SetMemberSubject, Subject, SubjectSet, Workflow, is_remote

COPIED_TEXTS = (
    "introduction",
    "primary_language",
    "tags",
    "urls",
    "researcher_quote",
    "workflow_description",
)
# A copy across projects copies files while somebody waits; more than this is a job for an upload.
MOST_SUBJECTS = 1_000


class CopyRefusedError(EsocsError):
    """The project is no template, is open to volunteers, or what is to be copied is too large or not whole."""

    code = "copy_refused"
    status = 422


@transaction.atomic
def copy_project(project: Project, *, owner: User, subject_set_name: str = "") -> Project:
    """A new project of somebody's, with the workflows, tutorials and field guides of a template, and no subjects.

    Args:
        project: in development, with `template` true in its configuration.
        owner: of the copy.
        subject_set_name: of an empty set to begin with; "": none.

    Raises:
        CopyRefusedError: it is live, or no template.
    """
    if project.live or project.configuration.get("template") not in (True, "true"):
        raise CopyRefusedError(
            "Only a template in development can be copied.", hint="Set configuration.template, and live to false."
        )
    copy = services.create_project(
        owner=owner,
        display_name=_free_name(Project.objects.filter(owner=owner), f"{project.display_name} (copy)"),
        description=project.description,
    )
    configuration = {key: value for key, value in project.configuration.items() if key != "template"}
    changes = {name: getattr(project, name) for name in COPIED_TEXTS}
    changes |= {"configuration": configuration | {"source_project_id": project.pk}, "private": True}
    change_project(copy, changes=changes)
    workflows = copy_workflows(copy, list(project.workflows.order_by("id")))
    for tutorial in project.tutorials.order_by("id"):
        shown_in = [workflows[pk] for pk in tutorial.workflows.values_list("pk", flat=True)]
        _copy_row(tutorial, project=copy).workflows.set(shown_in)
    for guide in project.field_guides.order_by("id"):
        _copy_row(guide, project=copy)
    if subject_set_name:
        SubjectSet.objects.create(project=copy, display_name=subject_set_name[:200])
    copy.refresh_from_db()
    return copy


@transaction.atomic
def copy_workflows(project: Project, workflows: Sequence[Workflow]) -> dict[int, Workflow]:
    """Copies in a project, by the id of the original: closed, without subjects, at their first version."""
    copies: dict[int, Workflow] = {}
    for original in workflows:
        made = _copy_row(
            original,
            project=project,
            display_name=_free_name(project.workflows.all(), original.display_name),
            active=False,
            major_version=1,
            minor_version=1,
            tutorial_subject=None,
        )
        services.write_version(made)
        copies[original.pk] = made
    return copies


@transaction.atomic
def copy_subject_sets(project: Project, sets: Sequence[SubjectSet]) -> list[SubjectSet]:
    """Copies in a project, with their subjects: the same ones within a project, copies of them in another.

    Raises:
        CopyRefusedError: in another project, more than a thousand subjects.
    """
    foreign = [one for one in sets if one.project_id != project.pk]
    if SetMemberSubject.objects.filter(subject_set__in=foreign).count() > MOST_SUBJECTS:
        raise CopyRefusedError(f"More than {MOST_SUBJECTS} subjects at once.", hint="Upload them to the project.")
    copies = []
    for original in sets:
        made = SubjectSet.objects.create(
            project=project,
            display_name=_free_name(project.subject_sets.all(), original.display_name),
            metadata=original.metadata,
        )
        for member in original.members.select_related("subject").order_by("id"):
            subject = member.subject if original.project_id == project.pk else _copy_subject(member.subject, project)
            SetMemberSubject.objects.create(subject_set=made, subject=subject, priority=member.priority)
        copies.append(made)
    return copies


def _copy_subject(subject: Subject, project: Project) -> Subject:
    copy = _copy_row(subject, project=project, plane=None)
    for medium in subject.media.filter(pending=False).order_by("id"):
        name, path = uuid.uuid4(), medium.path
        if not is_remote(path):
            path = new_path(name, Path(path).suffix)
            try:
                content = (Path(settings.MEDIA_ROOT) / medium.path).read_bytes()
            except FileNotFoundError as error:
                raise CopyRefusedError(f"A file of subject {subject.pk} is not there.", hint="Upload it.") from error
            write_file(path, content)
        _copy_row(medium, subject=copy, name=name, path=path)
    return copy


def _copy_row(row: Row, **changes: object) -> Row:
    """A new row with the columns of another, but for its id, its times and these."""
    left_out = {"id", "created_at", "updated_at", *changes}
    columns = {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields  # noqa: SLF001 - Django's public name for a model's columns
        if field.name not in left_out
    }
    return type(row)._default_manager.create(**columns, **changes)  # noqa: SLF001


def _free_name(rows: QuerySet[Model], name: str) -> str:
    """The name, with a number where the rows have it."""
    taken = set(rows.values_list("display_name", flat=True))
    tails = itertools.chain([""], (f" {number}" for number in itertools.count(2)))
    return next(free for tail in tails if (free := name[: 200 - len(tail)] + tail) not in taken)
