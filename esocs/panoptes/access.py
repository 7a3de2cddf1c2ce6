"""This door's errors for those who may not, and the workflows that volunteers' answers ask after.

Who may do what is the projects room's rule (`esocs.projects.access`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from esocs.accounts.identity import Identity
from esocs.crowd.as_panoptes.streams import NAMES as STREAMS
from esocs.panoptes.errors import ForbiddenError, NotFoundError, NotSignedInError
from esocs.projects.access import (
    EXPERTS,
    ROLES,
    has_role_in,
    is_collaborator,
    list_collaborated_projects,
    list_visible_projects,
    list_visible_workflows,
)
from esocs.projects.models import Project, Workflow

__all__ = [
    "OpenWorkflow",
    "forget_workflows",
    "is_collaborator",
    "is_expert",
    "list_collaborated_projects",
    "list_visible_projects",
    "list_visible_workflows",
    "open_workflow",
    "require_collaborator",
    "require_signed_in",
]


@dataclass(frozen=True, kw_only=True)
class OpenWorkflow:
    """What the volunteer's path needs to know of a workflow."""

    id: int
    project_id: int
    live: bool
    private: bool
    owner_id: int
    grouped: bool = False
    configuration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def selects_as_panoptes(self) -> bool:
        """Whether its owner asked for Panoptes' selection and counting."""
        return self.configuration.get("selection") == "panoptes"

    @property
    def has_streams(self) -> bool:
        """Whether it says how often each subject set is drawn from."""
        return not STREAMS.isdisjoint(self.configuration)


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
    names = ("project_id", "project__live", "project__private", "project__owner_id", "grouped", "configuration")
    row = Workflow.objects.filter(id=workflow_id).values_list(*names).first()
    if row is None:
        return None
    project_id, live, private, owner_id, grouped, configuration = row
    workflow = OpenWorkflow(
        id=workflow_id,
        project_id=project_id,
        live=live,
        private=private,
        owner_id=owner_id,
        grouped=grouped,
        configuration=configuration if isinstance(configuration, dict) else {},
    )
    if len(_remembered) >= MOST_REMEMBERED:
        _remembered.clear()
    _remembered[workflow_id] = (now + REMEMBERED_FOR_S, workflow)
    return workflow


def is_expert(identity: Identity, workflow: OpenWorkflow) -> bool:
    """Whether the asker may be shown what waits for the project's experts."""
    return _has_role(identity, workflow, EXPERTS)


def _has_role(identity: Identity, workflow: OpenWorkflow, roles: frozenset[str]) -> bool:
    return has_role_in(identity, project_id=workflow.project_id, owner_id=workflow.owner_id, roles=roles)


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
