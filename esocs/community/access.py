"""Who may read and write a subject's thread: it opens after one's own answer, so that answers stay independent."""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from esocs.accounts.identity import Identity
from esocs.community.errors import ThreadClosedError
from esocs.crowd.models import Classification, SubjectStatus
from esocs.projects import access
from esocs.projects.models import Project, ProjectRole, Subject

MODERATORS = access.COLLABORATORS | {ProjectRole.Role.MODERATOR}
# Those who see what waits for volunteers before they answer it, if they ever do.
INSIDERS = access.EXPERTS | MODERATORS | {ProjectRole.Role.SCIENTIST}


def is_moderator(identity: Identity, project: Project) -> bool:
    """Whether the asker judges reports in the project."""
    return access.has_role_in(identity, project_id=project.pk, owner_id=project.owner_id, roles=MODERATORS)


def may_read_thread(identity: Identity, subject: Subject) -> bool:
    """Whether nothing that the asker may still be asked about is told by the subject's thread.

    It is open to who has classified the subject in all workflows in which it is open, to everybody once it is open
    in none, and to the project's people.
    """
    project = subject.project
    if access.has_role_in(identity, project_id=project.pk, owner_id=project.owner_id, roles=INSIDERS):
        return True
    own = Classification.objects.filter(
        workflow=OuterRef("workflow"), subject=OuterRef("subject"), volunteer_id=identity.volunteer_id or 0
    )
    waiting = SubjectStatus.objects.filter(subject=subject, state=SubjectStatus.State.OPEN, workflow__active=True)
    return not waiting.filter(~Exists(own)).exists()


def require_thread(identity: Identity, subject: Subject) -> None:
    """Let those pass to whom the thread tells nothing too early.

    Raises:
        ThreadClosedError: they may still be asked about the subject.
    """
    if not may_read_thread(identity, subject):
        raise ThreadClosedError(
            "This subject still waits for your own answer.", hint="Classify it first; then its thread opens."
        )
