"""A subject set of ours with its pictures, made on another Panoptes server: every subject once, whatever is cut short.

A subject carries its address here as hidden metadata. What was made there before an answer reached us is found by it
when the push is run again; a subject that was made and is in no set yet is seen by nobody, and is made anew.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from django.conf import settings

from esocs.projects.models import Media, Subject, SubjectSet, is_remote
from esocs.releases.importing.services import Step
from esocs.releases.models import PushedSubject
from esocs.releases.remote.client import find_project

MARK = "#esocs"
SUBJECTS_AT_ONCE = 10


def push_subject_set(client: ModuleType, subject_set: SubjectSet, *, target: str, step: Step) -> tuple[int, str]:
    """Make the set, or complete it.

    Args:
        client: see `client.connect`.
        subject_set: ours.
        target: number or slug of the project there.
        step: is told of long steps.

    Returns:
        How many subjects are new there, and the set's number there.
    """
    project = find_project(client, target)
    endpoint = str(client.Panoptes.client().endpoint)
    remote_set = _find_set(client, project, subject_set)
    known = _known(endpoint, remote_set, subject_set)
    wanted = list(Subject.objects.filter(set_members__subject_set=subject_set).exclude(pk__in=known).order_by("id"))
    tell = step("sending subjects")
    for number, some in enumerate(_batches(wanted)):
        made = [_make(client, project, subject) for subject in some]
        remote_set.add(made)
        _keep(endpoint, remote_set, {subject.pk: int(remote.id) for subject, remote in zip(some, made, strict=True)})
        tell(number * SUBJECTS_AT_ONCE + len(some))
    return len(wanted), str(remote_set.id)


def _batches(subjects: list[Subject]) -> list[list[Subject]]:
    return [subjects[low : low + SUBJECTS_AT_ONCE] for low in range(0, len(subjects), SUBJECTS_AT_ONCE)]


def _find_set(client: ModuleType, project: Any, subject_set: SubjectSet) -> Any:
    """The set there that is ours, by its mark; made on first need."""
    address = f"{settings.PUBLIC_URL}/subject_sets/{subject_set.pk}"
    for found in client.SubjectSet.where(project_id=project.id):
        if (found.metadata or {}).get(MARK) == address:
            return found
    made = client.SubjectSet()
    made.links.project = project
    made.display_name = subject_set.display_name
    made.metadata = {**subject_set.metadata, MARK: address}
    made.save()
    return made


def _known(endpoint: str, remote_set: Any, subject_set: SubjectSet) -> set[int]:
    """Our subjects that are in the set there; those that an earlier push had no time to note are noted now."""
    rows = PushedSubject.objects.filter(endpoint=endpoint, remote_set=int(remote_set.id))
    noted = {row.remote_id: row.subject_id for row in rows}
    addresses = {
        f"{settings.PUBLIC_URL}/subjects/{pk}": pk
        for pk in subject_set.members.exclude(subject__in=noted.values()).values_list("subject_id", flat=True)
    }
    found: dict[int, int] = {}
    if addresses and (remote_set.set_member_subjects_count or 0) > len(noted):
        for remote in remote_set.subjects:
            pk = addresses.get(str((remote.metadata or {}).get(MARK)))
            if int(remote.id) not in noted and pk is not None:
                found[pk] = int(remote.id)
    _keep(endpoint, remote_set, found)
    return set(noted.values()) | found.keys()


def _keep(endpoint: str, remote_set: Any, made: dict[int, int]) -> None:
    PushedSubject.objects.bulk_create(
        [
            PushedSubject(subject_id=pk, endpoint=endpoint, remote_set=int(remote_set.id), remote_id=remote_id)
            for pk, remote_id in made.items()
        ],
        ignore_conflicts=True,
    )


def _make(client: ModuleType, project: Any, subject: Subject) -> Any:
    made = client.Subject()
    made.links.project = project
    made.metadata = {**subject.metadata, MARK: f"{settings.PUBLIC_URL}/subjects/{subject.pk}"}
    for media in subject.media.filter(role=Media.Role.LOCATION).order_by("position"):
        if is_remote(media.path):
            made.add_location({media.media_type: media.url})
        else:
            made.add_location(str(settings.MEDIA_ROOT / media.path), manual_mimetype=media.media_type)
    made.save()
    return made
