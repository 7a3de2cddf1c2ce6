"""Files of subjects: written whole or not at all; announced ones are taken only if they are what was announced."""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from classifier.errors import EsocsError
from esocs.projects.models import Media, Subject, is_remote
from esocs.projects.uploads import CheckedFile, check_media_type, check_upload

LONGEST_ADDRESS = 2_000
MOST_LOCATIONS = 100


class LocationInvalidError(EsocsError):
    """A subject's location is neither a media type to upload nor the address of a file elsewhere."""

    code = "location_invalid"
    status = 422


class UploadUnknownError(EsocsError):
    """Nothing was announced under this link."""

    code = "upload_unknown"
    status = 404


def write_file(relative: str, content: bytes) -> None:
    """Write a file below the media folder, whole or not at all."""
    path = Path(settings.MEDIA_ROOT) / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o644)
    os.replace(file.name, path)  # noqa: PTH105 - atomic, and says so


def new_path(name: uuid.UUID, extension: str) -> str:
    """Where a file of this unguessable name lies below the media folder."""
    return f"{name.hex[:2]}/{name}{extension}"


def announce_location(subject: Subject, position: int, location: object) -> Media:
    """A medium, not saved: one to be uploaded (a media type), or one that stays elsewhere (`{type: address}`).

    Raises:
        LocationInvalidError: it is neither.
        MediaTypeUnsupportedError: its type is not shown to volunteers.
    """
    if isinstance(location, str):
        name = uuid.uuid4()
        path = new_path(name, check_media_type(location))
        return Media(
            subject=subject, position=position, media_type=location, name=name, path=path, pending=True, size_bytes=0
        )
    if not isinstance(location, dict) or len(location) != 1:
        raise LocationInvalidError('A location is "image/png" to upload a file, or {"image/png": "https://…"}.')
    [(media_type, address)] = location.items()
    check_media_type(media_type)
    if not is_address(address):
        raise LocationInvalidError(f"{str(address)[:100]!r} is not an http or https address.")
    return Media(subject=subject, position=position, media_type=media_type, path=address, size_bytes=0)


def is_address(address: object) -> bool:
    if not isinstance(address, str) or len(address) > LONGEST_ADDRESS or not address.isprintable() or " " in address:
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def receive_upload(media_id: int, content: bytes) -> Media:
    """Take the bytes of an announced file. Sent again, as after a lost answer, they change nothing.

    Raises:
        UploadUnknownError: nothing was announced, or its subject was deleted.
        UploadTooLargeError, UploadInvalidError: it is not what was announced.
    """
    media = Media.objects.filter(pk=media_id).first()
    if media is None:
        raise UploadUnknownError("Nothing waits for this file.", hint="Create the subject again.")
    if not media.pending:
        return media
    checked: CheckedFile = check_upload(content, media.media_type, most_bytes=settings.UPLOAD_LIMIT_BYTES)
    write_file(media.path, content)
    Media.objects.filter(pk=media_id, pending=True).update(
        pending=False, size_bytes=len(content), width_px=checked.width_px, height_px=checked.height_px
    )
    media.refresh_from_db()
    return media


def forget_files(rows: QuerySet[Media]) -> None:
    """Delete the files of these media once the transaction that deletes their rows is through."""
    names = rows.filter(pending=False).values_list("path", flat=True)
    paths = [Path(settings.MEDIA_ROOT) / name for name in names if not is_remote(name)]

    def unlink() -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    transaction.on_commit(unlink)
