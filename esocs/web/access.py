"""Who may see which page: the rules of `projects.access` in Django's words.

Volunteers see how their own subjects came out; the tables belong to the people who answer for the project.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.http import Http404

from esocs.accounts.identity import Identity
from esocs.community.access import is_moderator
from esocs.projects import access
from esocs.projects.models import Project, Workflow


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What the asker may do in a project besides classifying."""

    review: bool
    operate: bool
    moderate: bool


def get_visible_project(identity: Identity, *, slug: str) -> Project:
    """The project at this address.

    Raises:
        Http404: there is none, or the asker may not know of it.
    """
    project = access.list_visible_projects(identity).select_related("owner").filter(slug__iexact=slug).first()
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
    return Rights(
        review=access.has_role_in(identity, project_id=project.pk, owner_id=project.owner_id, roles=access.EXPERTS),
        operate=access.is_collaborator(identity, project),
        moderate=is_moderator(identity, project),
    )


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
