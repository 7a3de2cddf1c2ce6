"""Who may see and do what in a project, for this door. `ProjectRole` rows are the source of truth."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from esocs.accounts.identity import Identity
from esocs.panoptes.errors import ForbiddenError, NotFoundError, NotSignedInError
from esocs.projects.models import Project, ProjectRole, Subject, Workflow

# Those who may read a project's classifications and order its exports.
COLLABORATORS = frozenset({ProjectRole.Role.OWNER, ProjectRole.Role.COLLABORATOR})
# Those who may be shown what waits for experts.
EXPERTS = COLLABORATORS | {ProjectRole.Role.EXPERT}
# Those who may enter a project that is not open to everybody.
ROLES = frozenset(ProjectRole.Role)


def list_visible_projects(identity: Identity) -> QuerySet[Project]:
    """Live public projects, and those in which the asker has a part; all of them for staff."""
    return Project.objects.filter(_visible_to(identity)).order_by("id")


def list_visible_workflows(identity: Identity) -> QuerySet[Workflow]:
    """The workflows of the visible projects."""
    return Workflow.objects.filter(_visible_to(identity, "project__")).order_by("id")


def list_visible_subjects(identity: Identity) -> QuerySet[Subject]:
    """The subjects of the visible projects."""
    return Subject.objects.filter(_visible_to(identity, "project__")).order_by("id")


def _visible_to(identity: Identity, prefix: str = "") -> Q:
    if identity.is_staff:
        return Q()
    visible = Q(**{f"{prefix}live": True, f"{prefix}private": False})
    if identity.user_id is not None:
        roles = ProjectRole.objects.filter(user_id=identity.user_id)
        visible |= Q(**{f"{prefix}owner_id": identity.user_id})
        visible |= Q(**{f"{prefix}id__in": roles.values("project_id")})
    return visible


@dataclass(frozen=True, kw_only=True)
class OpenWorkflow:
    """What the volunteer's path needs to know of a workflow."""

    id: int
    project_id: int
    live: bool
    private: bool
    owner_id: int


# Every answer of every volunteer asks whether the project is open. It is looked up once in this time in each process,
# so a project that is closed takes answers for that much longer.
REMEMBERED_FOR_S = 2.0
MOST_REMEMBERED = 1_000
_remembered: dict[int, tuple[float, OpenWorkflow]] = {}


def open_workflow(workflow_id: int, identity: Identity) -> OpenWorkflow:
    """A workflow that the asker may classify in.

    Raises:
        NotFoundError: there is none, or its project is closed to the asker.
    """
    workflow = _recall(workflow_id)
    if workflow is not None and ((workflow.live and not workflow.private) or _has_role(identity, workflow, ROLES)):
        return workflow
    raise NotFoundError(f"Could not find workflow with id='{workflow_id}'")


def forget_workflows() -> None:
    """Look up the next workflow afresh."""
    _remembered.clear()


def _recall(workflow_id: int) -> OpenWorkflow | None:
    now = time.monotonic()
    until, workflow = _remembered.get(workflow_id, (0.0, None))
    if workflow is not None and now < until:
        return workflow
    names = ("project_id", "project__live", "project__private", "project__owner_id")
    row = Workflow.objects.filter(id=workflow_id).values_list(*names).first()
    if row is None:
        return None
    project_id, live, private, owner_id = row
    workflow = OpenWorkflow(id=workflow_id, project_id=project_id, live=live, private=private, owner_id=owner_id)
    if len(_remembered) >= MOST_REMEMBERED:
        _remembered.clear()
    _remembered[workflow_id] = (now + REMEMBERED_FOR_S, workflow)
    return workflow


def is_expert(identity: Identity, workflow: OpenWorkflow) -> bool:
    """Whether the asker may be shown what waits for the project's experts."""
    return _has_role(identity, workflow, EXPERTS)


def _has_role(identity: Identity, workflow: OpenWorkflow, roles: Iterable[str]) -> bool:
    if identity.user_id is None:
        return False
    if identity.is_staff or identity.user_id == workflow.owner_id:
        return True
    held = ProjectRole.objects.filter(project_id=workflow.project_id, user_id=identity.user_id, role__in=roles)
    return held.exists()


def is_collaborator(identity: Identity, project: Project) -> bool:
    if identity.user_id is None:
        return False
    if identity.is_staff or project.owner_id == identity.user_id:
        return True
    roles = ProjectRole.objects.filter(project=project, user_id=identity.user_id, role__in=COLLABORATORS)
    return roles.exists()


def list_collaborated_projects(identity: Identity) -> QuerySet[Project]:
    """The projects whose classifications the asker may read."""
    if identity.is_staff:
        return Project.objects.all()
    user_id = identity.user_id or 0
    roles = ProjectRole.objects.filter(user_id=user_id, role__in=COLLABORATORS)
    return Project.objects.filter(Q(owner_id=user_id) | Q(id__in=roles.values("project_id")))


def require_signed_in(identity: Identity) -> int:
    """The asker's user id.

    Raises:
        NotSignedInError: nobody is logged in.
    """
    if identity.user_id is None:
        raise NotSignedInError("You must be logged in to access this resource.", hint="Log in, or send a bearer token.")
    return identity.user_id


def require_collaborator(identity: Identity, project: Project) -> None:
    """Let the project's people pass.

    Raises:
        NotSignedInError: nobody is logged in.
        ForbiddenError: somebody else is.
    """
    require_signed_in(identity)
    if not is_collaborator(identity, project):
        raise ForbiddenError("Only the project's owner and collaborators may do this.")
