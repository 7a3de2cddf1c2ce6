"""Pictures attached to a project: addresses of files that lie elsewhere."""

from __future__ import annotations

from typing import Any

from classifier.errors import EsocsError
from esocs.projects.media import LocationInvalidError, is_address
from esocs.projects.models import Project, ProjectImage
from esocs.projects.uploads import check_media_type

MOST_IMAGES = 1_000


class TooManyImagesError(EsocsError):
    """A project has as many attached pictures as it may."""

    code = "too_many_images"
    status = 422


def attach_image(project: Project, *, src: str, content_type: str, metadata: dict[str, Any]) -> ProjectImage:
    """Attach a picture that lies elsewhere.

    Raises:
        LocationInvalidError: `src` is no http or https address.
        MediaTypeUnsupportedError: its type is not shown.
        TooManyImagesError: there are a thousand.
    """
    check_media_type(content_type)
    if not is_address(src):
        raise LocationInvalidError(f"{src[:100]!r} is not an http or https address.")
    if ProjectImage.objects.filter(project=project).count() >= MOST_IMAGES:
        raise TooManyImagesError(f"A project has at most {MOST_IMAGES} attached images.", hint="Link one you have.")
    return ProjectImage.objects.create(project=project, src=src, content_type=content_type, metadata=metadata)
