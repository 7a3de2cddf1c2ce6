"""What a project's people change: projects, workflows, who takes part. One at a time, and only what they have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Model, ProtectedError, QuerySet

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.projects import rules, services
from esocs.projects.models import Project, ProjectRole, SubjectSet, Workflow
from esocs.projects.task_checks import check_tasks
from esocs.projects.texts import extract_strings

DEFAULT_RETIREMENT: Final = {"criteria": "classification_count", "options": {"count": 15}}

Row = TypeVar("Row", bound=Model)


class StaleError(EsocsError):
    """Somebody else changed it in the meantime."""

    code = "stale"
    status = 409


class NameTakenError(EsocsError):
    """Another of the same project or person has this name."""

    code = "name_taken"
    status = 422


class LiveProjectError(EsocsError):
    """Volunteers are answering these very questions."""

    code = "live_project"
    status = 403


class InUseError(EsocsError):
    """Other rows, classifications above all, would lose what they are about."""

    code = "in_use"
    status = 422


class NotInProjectError(EsocsError):
    """What a request names belongs to another project, or to none."""

    code = "not_in_project"
    status = 422


class RoleInvalidError(EsocsError):
    """The role cannot be given, or not taken away."""

    code = "role_invalid"
    status = 422


def lock_unchanged(rows: QuerySet[Row], *, pk: int, seen_at: datetime | None) -> Row:
    """The row, locked until the transaction ends, if it is still the one that the writer saw.

    Args:
        rows: whence it is taken.
        pk: its id.
        seen_at: its `updated_at` as the writer read it; None: whatever it is.

    Raises:
        StaleError: it was changed or deleted since.
    """
    row = rows.select_for_update(of=("self",)).filter(pk=pk).first()
    if row is None or (seen_at is not None and row.updated_at != seen_at):  # type: ignore[attr-defined]
        raise StaleError("This was changed in the meantime.", hint="Read it again, and make your change anew.")
    return row


def save_named(row: Model, name: str) -> None:
    """Save a row whose name must be free.

    Raises:
        NameTakenError: it is not.
    """
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise NameTakenError(f"The name {name!r} is taken.", hint="Choose another.") from error


def delete_unused(row: Model) -> None:
    """Delete a row and what belongs to it.

    Raises:
        InUseError: something else needs it.
    """
    try:
        with transaction.atomic():
            row.delete()
    except ProtectedError as error:
        kinds = sorted({str(type(each)._meta.verbose_name_plural) for each in error.protected_objects})  # noqa: SLF001
        raise InUseError(
            f"It cannot be deleted: {', '.join(kinds)} are about it.",
            hint="Close it instead: a workflow by active=false, a project by private=true.",
        ) from error


# --- projects -----------------------------------------------------------------------------------------------------


@transaction.atomic
def change_project(project: Project, *, changes: Mapping[str, Any], seen_at: datetime | None = None) -> Project:
    """Change a project's columns by name. Its address stays: links to it outlive a better name.

    Raises:
        StaleError: it was changed since `seen_at`.
        ProjectExistsError: the owner has another of the new name.
    """
    locked = lock_unchanged(Project.objects.all(), pk=project.pk, seen_at=seen_at)
    name = changes.get("display_name", locked.display_name)
    others = Project.objects.filter(owner=locked.owner_id, display_name__iexact=name).exclude(pk=locked.pk)
    if others.exists():
        raise services.ProjectExistsError(f"You already have a project called {name!r}.")
    for column, value in changes.items():
        setattr(locked, column, value)
    locked.save()
    return locked


@transaction.atomic
def set_roles(*, project: Project, user: User, roles: Sequence[str]) -> int:
    """Give a person exactly these roles in a project.

    Returns:
        The id under which the person's part is known: that of their first row, which never changes.

    Raises:
        RoleInvalidError: the owner's part is not given or taken so, or there is no role at all.
    """
    if ProjectRole.Role.OWNER in roles or user.pk == project.owner_id:
        raise RoleInvalidError("The owner is who made the project; that does not change by a role.")
    wanted = list(dict.fromkeys(roles))
    if not wanted:
        raise RoleInvalidError("Name at least one role.", hint="Delete the role to take a person out of the project.")
    held = list(ProjectRole.objects.select_for_update().filter(project=project, user=user).order_by("id"))
    if held:
        ProjectRole.objects.filter(pk__in=[row.pk for row in held[1:]]).delete()
        first = held[0]
        first.role = wanted[0]
        first.save(update_fields=["role"])
    else:
        first = ProjectRole.objects.create(project=project, user=user, role=wanted[0])
    ProjectRole.objects.bulk_create(ProjectRole(project=project, user=user, role=role) for role in wanted[1:])
    return first.pk


def remove_roles(*, project: Project, user: User) -> None:
    """Take a person out of a project.

    Raises:
        RoleInvalidError: it is the owner.
    """
    if user.pk == project.owner_id:
        raise RoleInvalidError("The owner cannot leave the project.")
    ProjectRole.objects.filter(project=project, user=user).delete()


# --- workflows ----------------------------------------------------------------------------------------------------


@transaction.atomic
def draft_workflow(*, project: Project, display_name: str, fields: Mapping[str, Any] | None = None) -> Workflow:
    """Create a workflow from Panoptes' task objects, texts and all; in a live project it starts inactive.

    Args:
        project: whose.
        display_name: unused in the project.
        fields: columns by name; `tasks` with their texts in place.

    Raises:
        InvalidWorkflowError: the tasks make no sense.
        NameTakenError: the project has a workflow of this name.
    """
    given = dict(fields or {})
    tasks, strings = extract_strings(check_tasks(given.pop("tasks", {}), given.get("steps") or ()))
    workflow = Workflow(
        project=project,
        display_name=display_name,
        tasks=tasks,
        strings=strings,
        first_task=rules.check_first_task(tasks, given.pop("first_task", "")),
        retirement=given.pop("retirement", None) or DEFAULT_RETIREMENT,
        active=given.pop("active", True) and not project.live,
        subject_kind=given.pop("subject_kind", "image"),
        **given,
    )
    save_named(workflow, display_name)
    services.write_version(workflow)
    return workflow


@transaction.atomic
def edit_workflow(workflow: Workflow, *, changes: Mapping[str, Any], seen_at: datetime | None = None) -> Workflow:
    """Change a workflow as its people may: not what volunteers are just being asked.

    Args:
        workflow: which.
        changes: columns by name; `tasks` with texts or keys in place.
        seen_at: its `updated_at` as the writer read it.

    Raises:
        LiveProjectError: the questions of an active workflow in a live project would change.
        InvalidWorkflowError: the tasks make no sense.
        NameTakenError: the project has a workflow of this name.
        StaleError: it was changed since `seen_at`.
    """
    locked = lock_unchanged(Workflow.objects.select_related("project"), pk=workflow.pk, seen_at=seen_at)
    wanted = dict(changes)
    if "tasks" in wanted or "steps" in wanted:
        check_tasks(wanted.get("tasks", locked.tasks), wanted.get("steps", locked.steps) or ())
    if "tasks" in wanted:
        wanted["tasks"], wanted["strings"] = extract_strings(wanted["tasks"], locked.strings)
    if "first_task" in wanted or "tasks" in wanted:
        first_task = wanted.get("first_task", locked.first_task)
        wanted["first_task"] = rules.check_first_task(wanted.get("tasks", locked.tasks), first_task)
    if "retirement" in wanted:
        wanted["retirement"] = wanted["retirement"] or DEFAULT_RETIREMENT
    asked_anew = [column for column in services.ASKED if column in wanted and wanted[column] != getattr(locked, column)]
    if asked_anew and locked.active and locked.project.live:
        raise LiveProjectError(
            f"{asked_anew[0]} of an active workflow in a live project cannot change.",
            hint="Deactivate the workflow first, or make a new one.",
        )
    if wanted.get("display_name", locked.display_name) != locked.display_name:
        locked.display_name = wanted.pop("display_name")
        save_named(locked, locked.display_name)
    return services.change_workflow(locked, **wanted)


@transaction.atomic
def link_subject_sets(workflow: Workflow, subject_set_ids: Sequence[int]) -> None:
    """Ask a workflow's questions about the subjects of these sets too.

    Raises:
        NotInProjectError: a set is not one of the project's.
    """
    found = list(SubjectSet.objects.filter(project=workflow.project_id, pk__in=subject_set_ids))
    missing = set(subject_set_ids) - {row.pk for row in found}
    if missing:
        raise NotInProjectError(f"The project has no subject set {min(missing)}.")
    workflow.subject_sets.add(*found)


@transaction.atomic
def unlink_subject_sets(workflow: Workflow, subject_set_ids: Sequence[int]) -> None:
    """Ask no more about the subjects of these sets; what was answered stays."""
    workflow.subject_sets.remove(*SubjectSet.objects.filter(pk__in=subject_set_ids))
