"""Reads of the projects room: projects and workflows as people name them."""

from __future__ import annotations

from classifier.errors import EsocsError
from esocs.projects.models import Project, ProjectRole, Workflow


class ProjectNotFoundError(EsocsError):
    """There is no such project."""

    code = "project_not_found"
    status = 404


class WorkflowAmbiguousError(EsocsError):
    """The project has several workflows, or none, and none was named."""

    code = "workflow_ambiguous"
    status = 422


def get_project(name: str | int) -> Project:
    """A project by id or slug.

    Raises:
        ProjectNotFoundError: there is none.
    """
    text = str(name)
    found = Project.objects.filter(pk=int(text)) if text.isdecimal() else Project.objects.filter(slug__iexact=text)
    project = found.select_related("owner").first()
    if project is None:
        slugs = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)[:10])
        raise ProjectNotFoundError(f"There is no project {name!r}.", hint=f"Known: {slugs or 'none yet'}.")
    return project


def select_workflows(*, project: Project | None = None, workflow_id: int | None = None) -> list[Workflow]:
    """The named workflow, or all of a project, or all there are.

    Raises:
        WorkflowAmbiguousError: there is none.
    """
    rows = Workflow.objects.select_related("project").order_by("id")
    if project is not None:
        rows = rows.filter(project=project)
    if workflow_id is not None:
        rows = rows.filter(pk=workflow_id)
    workflows = list(rows)
    if not workflows:
        raise WorkflowAmbiguousError("There is no such workflow.", hint="Create one first, or name another.")
    return workflows


def has_role(*, project: Project, user_id: int | None, roles: tuple[str, ...]) -> bool:
    """Whether a person has one of the roles in a project."""
    return user_id is not None and ProjectRole.objects.filter(project=project, user_id=user_id, role__in=roles).exists()
