"""A subject as volunteers see it: pictures, the metadata that are theirs to see, and where they have put it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import Http404

from esocs.accounts.identity import Identity
from esocs.projects.models import Collection, Media, Project, Subject

# Panoptes' prefixes: always hidden, and hidden until one has classified.
HIDDEN = ("#", "//")
AFTERWARDS = "!"


@dataclass(frozen=True, kw_only=True)
class SubjectView:
    """What the page shows beside the thread."""

    pictures: list[Media]
    facts: dict[str, Any]
    favourite: bool
    collections: list[Collection]


def get_subject(project: Project, subject_id: int) -> Subject:
    """A subject of the project.

    Raises:
        Http404: it has no such subject.
    """
    found = Subject.objects.filter(project=project, pk=subject_id).select_related("project").first()
    if found is None:
        raise Http404("There is no such subject.")
    return found


def visible_facts(metadata: dict[str, Any], *, classified: bool) -> dict[str, Any]:
    """The metadata that a volunteer may read, before or after their own answer, under their plain names."""
    shown = {key: value for key, value in metadata.items() if not key.startswith(HIDDEN)}
    return {key.removeprefix(AFTERWARDS): value for key, value in shown.items() if classified or key[:1] != AFTERWARDS}


def read_subject_view(subject: Subject, identity: Identity, *, classified: bool) -> SubjectView:
    """A subject's pictures and facts, and the asker's own collections with `holds` on each."""
    media = Media.objects.filter(subject=subject, role=Media.Role.LOCATION, pending=False).order_by("position")
    own = list(Collection.objects.filter(owner_id=identity.user_id or 0).order_by("display_name", "id"))
    holding = set(
        Collection.subjects.through.objects.filter(subject=subject, collection__in=own).values_list(
            "collection_id", flat=True
        )
    )
    for collection in own:
        collection.holds = collection.pk in holding  # type: ignore[attr-defined]
    return SubjectView(
        pictures=[medium for medium in media if medium.media_type.startswith("image/")],
        facts=visible_facts(subject.metadata, classified=classified),
        favourite=any(c.favorite and c.pk in holding for c in own),
        collections=[collection for collection in own if not collection.favorite],
    )
