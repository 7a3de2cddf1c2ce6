"""Whoever classified on the other server, as volunteers of ours that nobody can sign in as."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from esocs.accounts.models import User, Volunteer
from esocs.projects.models import Project
from esocs.releases.models import ImportedVolunteer


@dataclass(frozen=True)
class Person:
    """A volunteer of ours, and the closed account of one who had signed in there."""

    volunteer_id: int
    user_id: int | None


def find_people(project: Project, named: Iterable[tuple[str, int | None]]) -> dict[str, Person]:
    """Everybody by the name in the file; those who are not known yet are made.

    A foreign login is none of ours: the same name may be another person here, so nobody is taken for a local user.

    Args:
        project: people of several imported projects are strangers to each other.
        named: user names with foreign user ids; None for an anonymous one.
    """
    wanted = dict(named)
    rows = ImportedVolunteer.objects.filter(project=project, user_name__in=list(wanted))
    known = {row.user_name: row.volunteer for row in rows.select_related("volunteer")}
    new = {name: foreign_id for name, foreign_id in wanted.items() if name not in known}
    users = {
        name: User(login=_free_login(project, name, foreign_id), display_name=name[:120], is_active=False)
        for name, foreign_id in new.items()
        if foreign_id is not None
    }
    for user in users.values():
        user.set_unusable_password()
    User.objects.bulk_create(users.values())
    made = {
        name: Volunteer(user=users.get(name), anonymous_key=None if name in users else _key(project, name))
        for name in new
    }
    Volunteer.objects.bulk_create(made.values())
    ImportedVolunteer.objects.bulk_create(
        ImportedVolunteer(volunteer=volunteer, project=project, user_name=name, foreign_id=new[name])
        for name, volunteer in made.items()
    )
    return {name: Person(volunteer.pk, volunteer.user_id) for name, volunteer in (known | made).items()}


def _key(project: Project, name: str) -> str:
    return hashlib.sha256(f"imported {project.pk} {name}".encode()).hexdigest()


def _free_login(project: Project, name: str, foreign_id: int | None) -> str:
    """A login that nobody can have signed up with: it holds a colon."""
    return f"imported:{project.pk}:{foreign_id}:{_key(project, name)[:12]}"
