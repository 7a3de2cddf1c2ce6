"""The pictures of a pulled project, brought here: each once, and only what may be shown to volunteers."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from django.conf import settings

from classifier.errors import EsocsError
from esocs.outbound.client import Limits, call
from esocs.projects.media import new_path, write_file
from esocs.projects.models import Media, Project, is_remote
from esocs.projects.uploads import CheckedFile, check_media_type, check_upload
from esocs.releases.importing.services import Step

AT_ONCE = 8
SECONDS_A_PICTURE = 60.0
MOST_REFUSALS_TOLD = 20


@dataclass(kw_only=True)
class Pictures:
    """What became of a project's remote pictures."""

    fetched: int = 0
    refused: int = 0
    why: list[str] = field(default_factory=list)
    """The first refusals, one line each."""


def fetch_pictures(project: Project, *, step: Step, allowed: Collection[str] = ()) -> Pictures:
    """Fetch the files of a project's media that lie elsewhere, and show ours from then on.

    Run again it goes on where it was: what is here is no longer elsewhere. A file is judged as an upload is, by its
    size, then its type, then its pixels before they are decoded; what is refused, or does not come, stays elsewhere.

    Args:
        project: whose.
        step: is told how many are done.
        allowed: origins that may be called though they are not public and https.
    """
    tell, done = step("fetching pictures"), Pictures()
    waiting = Media.objects.filter(subject__project=project, pending=False, path__startswith="http").order_by("id")
    rows = (row for row in waiting.iterator(chunk_size=500) if is_remote(row.path))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pictures") as pool:
        while some := list(islice(rows, AT_ONCE)):
            for medium, found in zip(some, pool.map(lambda one: _fetch(one, allowed), some), strict=True):
                if isinstance(found, EsocsError):
                    done.refused += 1
                    if len(done.why) < MOST_REFUSALS_TOLD:
                        done.why.append(f"subject {medium.subject_id}: {found.code}: {found.message}")
                else:
                    done.fetched += _keep(medium, *found)
            tell(done.fetched + done.refused)
    return done


def _fetch(medium: Media, allowed: Collection[str]) -> tuple[bytes, CheckedFile] | EsocsError:
    """The file and what is known of it, or why it is refused. Knows no database: it runs in a thread."""
    limits = Limits(seconds=SECONDS_A_PICTURE, bytes=settings.UPLOAD_LIMIT_BYTES)
    try:
        check_media_type(medium.media_type)
        content = call("GET", medium.path, allowed=allowed, limits=limits).body
        return content, check_upload(content, medium.media_type, most_bytes=settings.UPLOAD_LIMIT_BYTES)
    except EsocsError as error:
        return error


def _keep(medium: Media, content: bytes, checked: CheckedFile) -> int:
    """Write the file and point to it; 0 where somebody else was faster."""
    name = uuid.uuid4()
    path = new_path(name, check_media_type(medium.media_type))
    write_file(path, content)
    return Media.objects.filter(pk=medium.pk, path=medium.path).update(
        path=path, name=name, size_bytes=len(content), width_px=checked.width_px, height_px=checked.height_px
    )


def origins_of(endpoint: str) -> Iterator[str]:
    """The other server itself, which is called anyway, and what the operator allows."""
    yield endpoint
    yield from settings.OUTBOUND_ALLOWED
