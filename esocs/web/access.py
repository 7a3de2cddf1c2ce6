"""Who may see which page. `ProjectRole` rows are the source of truth; staff may see everything."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404

from esocs.accounts.identity import Identity
from esocs.projects.models import Project, ProjectRole, Workflow

# Volunteers see how their own subjects came out; the tables belong to the people who answer for the project.
REVIEWERS = frozenset({ProjectRole.Role.OWNER, ProjectRole.Role.COLLABORATOR, ProjectRole.Role.EXPERT})
OPERATORS = frozenset({ProjectRole.Role.OWNER, ProjectRole.Role.COLLABORATOR})


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What the asker may do in a project besides classifying."""

    review: bool
    operate: bool


def list_visible_projects(identity: Identity) -> QuerySet[Project]:
    """Live public projects, and those in which the asker has a part; all of them for staff."""
    if identity.is_staff:
        return Project.objects.order_by("display_name")
    visible = Q(live=True, private=False)
    if identity.user_id is not None:
        held = ProjectRole.objects.filter(user_id=identity.user_id)
        visible |= Q(owner_id=identity.user_id) | Q(id__in=held.values("project_id"))
    return Project.objects.filter(visible).order_by("display_name")


def get_visible_project(identity: Identity, *, slug: str) -> Project:
    """The project at this address.

    Raises:
        Http404: there is none, or the asker may not know of it.
    """
    project = list_visible_projects(identity).select_related("owner").filter(slug__iexact=slug).first()
    if project is None:
        raise Http404("There is no such project.")
    return project


def get_workflow(project: Project, workflow_id: int) -> Workflow:
    """A workflow of the project.

    Raises:
        Http404: it has no such workflow.
    """
    workflow = Workflow.objects.filter(project=project, pk=workflow_id).first()
    if workflow is None:
        raise Http404("There is no such workflow.")
    return workflow


def rights_in(project: Project, identity: Identity) -> Rights:
    if identity.user_id is None:
        return Rights(review=False, operate=False)
    if identity.is_staff or project.owner_id == identity.user_id:
        return Rights(review=True, operate=True)
    roles = set(ProjectRole.objects.filter(project=project, user_id=identity.user_id).values_list("role", flat=True))
    return Rights(review=not REVIEWERS.isdisjoint(roles), operate=not OPERATORS.isdisjoint(roles))


def require_review(project: Project, identity: Identity) -> Rights:
    """Let the project's scientists pass.

    Raises:
        PermissionDenied: the asker is not one of them.
    """
    rights = rights_in(project, identity)
    if not rights.review:
        raise PermissionDenied("These pages belong to the project's scientists.")
    return rights


def require_operation(project: Project, identity: Identity) -> Rights:
    """Let the project's owner and collaborators pass.

    Raises:
        PermissionDenied: the asker is not one of them.
    """
    rights = rights_in(project, identity)
    if not rights.operate:
        raise PermissionDenied("This page belongs to the project's owner.")
    return rights
