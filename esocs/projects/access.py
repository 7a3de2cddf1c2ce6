"""Who may see and change what in a project: one rule for every door. `ProjectRole` rows are the source of truth."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from esocs.accounts.identity import Identity
from esocs.projects.models import (
    Collection,
    FieldGuide,
    Project,
    ProjectRole,
    Subject,
    SubjectSet,
    Translation,
    Tutorial,
    Workflow,
)

# Those who change a project, read its classifications and order its exports.
COLLABORATORS = frozenset({ProjectRole.Role.OWNER, ProjectRole.Role.COLLABORATOR})
# Those who may be shown what waits for experts.
EXPERTS = COLLABORATORS | {ProjectRole.Role.EXPERT}
# Those who may enter a project that is not open to everybody.
ROLES = frozenset(ProjectRole.Role)


def list_visible_projects(identity: Identity) -> QuerySet[Project]:
    """Live public projects, and those in which the asker has a part; all of them for staff."""
    return Project.objects.filter(visible_to(identity)).order_by("id")


def list_visible_workflows(identity: Identity) -> QuerySet[Workflow]:
    """The workflows of the visible projects."""
    return Workflow.objects.filter(visible_to(identity, "project__")).order_by("id")


def list_visible_subjects(identity: Identity) -> QuerySet[Subject]:
    """The subjects of the visible projects."""
    return Subject.objects.filter(visible_to(identity, "project__")).order_by("id")


def list_visible_subject_sets(identity: Identity) -> QuerySet[SubjectSet]:
    """The subject sets of the visible projects."""
    return SubjectSet.objects.filter(visible_to(identity, "project__")).order_by("id")


def list_visible_tutorials(identity: Identity) -> QuerySet[Tutorial]:
    """The tutorials of the visible projects."""
    return Tutorial.objects.filter(visible_to(identity, "project__")).order_by("id")


def list_visible_field_guides(identity: Identity) -> QuerySet[FieldGuide]:
    """The field guides of the visible projects."""
    return FieldGuide.objects.filter(visible_to(identity, "project__")).order_by("id")


def list_visible_translations(identity: Identity) -> QuerySet[Translation]:
    """The translations of the visible projects."""
    return Translation.objects.filter(visible_to(identity, "project__")).order_by("id")


def list_visible_collections(identity: Identity) -> QuerySet[Collection]:
    """Public collections and one's own; all of them for staff."""
    rows = Collection.objects.order_by("id")
    return rows if identity.is_staff else rows.filter(Q(private=False) | Q(owner_id=identity.user_id or 0))


def visible_to(identity: Identity, prefix: str = "") -> Q:
    """The condition on a project, or on what `prefix` leads from to it (`project__`)."""
    if identity.is_staff:
        return Q()
    visible = Q(**{f"{prefix}live": True, f"{prefix}private": False})
    if identity.user_id is not None:
        roles = ProjectRole.objects.filter(user_id=identity.user_id)
        visible |= Q(**{f"{prefix}owner_id": identity.user_id})
        visible |= Q(**{f"{prefix}id__in": roles.values("project_id")})
    return visible


def list_collaborated_projects(identity: Identity) -> QuerySet[Project]:
    """The projects that the asker may change, and whose classifications they may read."""
    if identity.is_staff:
        return Project.objects.all()
    user_id = identity.user_id or 0
    roles = ProjectRole.objects.filter(user_id=user_id, role__in=COLLABORATORS)
    return Project.objects.filter(Q(owner_id=user_id) | Q(id__in=roles.values("project_id")))


def has_role_in(identity: Identity, *, project_id: int, owner_id: int, roles: Iterable[str]) -> bool:
    """Whether the asker has one of the roles; the owner and staff have every one."""
    if identity.user_id is None:
        return False
    if identity.is_staff or identity.user_id == owner_id:
        return True
    held = ProjectRole.objects.filter(project_id=project_id, user_id=identity.user_id, role__in=list(roles))
    return held.exists()


def is_collaborator(identity: Identity, project: Project) -> bool:
    """Whether the asker may change the project."""
    return has_role_in(identity, project_id=project.pk, owner_id=project.owner_id, roles=COLLABORATORS)
