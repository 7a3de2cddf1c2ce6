"""GET /api/projects and /api/projects/:id."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from esocs.panoptes import schema
from esocs.panoptes.access import list_visible_projects
from esocs.panoptes.documents import project_documents, with_project_links
from esocs.panoptes.errors import NotFoundError
from esocs.panoptes.paging import paginate
from esocs.panoptes.parameters import parse_id, read_ids, read_text
from esocs.panoptes.views.base import PanoptesView


class ProjectList(PanoptesView):
    """Projects that the asker may see."""

    @extend_schema(
        operation_id="list_projects",
        parameters=[
            *schema.PAGE,
            schema.query("slug", "The project's address, `owner/name`."),
            schema.query("search", "Words of the project's name."),
            schema.query("id", "Ids, separated by commas."),
        ],
        responses={200: schema.answer("projects", schema.PROJECT), **schema.ERRORS},
    )
    def get(self, request: Request) -> Response:
        projects = list_visible_projects(self.identity)
        query = request.query_params
        if slug := read_text(query, "slug"):
            projects = projects.filter(slug__iexact=slug)
        if ids := read_ids(query, "id"):
            projects = projects.filter(id__in=ids)
        for word in read_text(query, "search").split():
            projects = projects.filter(display_name__icontains=word)
        rows, meta = paginate(with_project_links(projects), query=query, plural="projects", path="/projects")
        return self.answer("projects", project_documents(rows), meta=meta)


class ProjectDetail(PanoptesView):
    """One project."""

    @extend_schema(
        operation_id="show_project",
        responses={200: schema.answer("projects", schema.PROJECT), **schema.ERRORS},
    )
    def get(self, request: Request, pk: str) -> Response:
        projects = list_visible_projects(self.identity).filter(id=parse_id(pk, "id"))
        project = with_project_links(projects).first()
        if project is None:
            raise NotFoundError(f"Could not find project with id='{pk}'")
        return self.answer("projects", project_documents([project]))
