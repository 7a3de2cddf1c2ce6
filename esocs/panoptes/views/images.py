"""Pictures of projects and people: attached ones are addresses of files elsewhere; nobody has an avatar here."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.panoptes import schema
from esocs.panoptes.bodies import read_body
from esocs.panoptes.documents import Document, timestamp
from esocs.panoptes.errors import NotFoundError
from esocs.panoptes.views.people import Users
from esocs.panoptes.views.projects import Projects
from esocs.projects.images import attach_image
from esocs.projects.models import ProjectImage

MEDIA = schema.answer("media", "AttachedImage")


class AttachedImages(Projects):
    """`/api/projects/:id/attached_images`."""

    @extend_schema(operation_id="list_attached_images", responses={200: MEDIA, **schema.ERRORS})
    def get(self, request: Request, pk: str) -> Response:
        project = self.find(pk)
        images = ProjectImage.objects.filter(project=project).order_by("id")
        if not images:
            raise NotFoundError(f"No attached_images exist for project #{pk}")
        return self.answer("media", [_document(image) for image in images])

    @extend_schema(
        operation_id="attach_image",
        request={"application/json": {"type": "object", "properties": {"media": schema.MAP}}},
        responses={201: MEDIA, **schema.ERRORS},
    )
    def post(self, request: Request, pk: str) -> Response:
        project = self.find(pk)
        self.require_editor(project)
        sent: dict[str, Any] = read_body(request.data, "media", "ATTACHED_IMAGE")
        image = attach_image(
            project, src=sent["src"], content_type=sent["content_type"], metadata=sent.get("metadata", {})
        )
        return self.answer("media", [_document(image)], status=201)


class ProjectAvatar(Projects):
    """`/api/projects/:id/avatar`."""

    @extend_schema(operation_id="show_project_avatar", responses={**schema.ERRORS})
    def get(self, request: Request, pk: str) -> Response:
        self.find(pk)
        raise NotFoundError(f"No avatar exists for project #{pk}")


class UserAvatar(Users):
    """`/api/users/:id/avatar`."""

    @extend_schema(operation_id="show_user_avatar", responses={**schema.ERRORS})
    def get(self, request: Request, pk: str) -> Response:
        self.find(pk)
        raise NotFoundError(f"No avatar exists for user #{pk}")


def _document(image: ProjectImage) -> Document:
    href = f"/projects/{image.project_id}"
    return {
        "id": str(image.pk),
        "href": f"{href}/attached_images",
        "src": image.src,
        "content_type": image.content_type,
        "media_type": "project_attached_image",
        "external_link": True,
        "created_at": timestamp(image.created_at),
        "updated_at": timestamp(image.created_at),
        "metadata": image.metadata,
        "links": {"linked": {"href": href, "id": str(image.project_id), "type": "projects"}},
    }
