"""Exports: order one, watch it being made, fetch it."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from esocs.accounts.identity import identity_from_session
from esocs.accounts.models import User
from esocs.projects.models import Project
from esocs.releases.models import Export
from esocs.releases.queries import export_path
from esocs.releases.services import file_name, request_export
from esocs.web.access import get_visible_project, get_workflow, require_operation
from esocs.web.exports import PROJECT_ONLY, list_offers, read_offer


def _project_of_operator(request: HttpRequest, slug: str) -> Project:
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    require_operation(project, identity)
    return project


def _get_export(project: Project, export_id: int) -> Export:
    export = Export.objects.select_related("project", "workflow").filter(project=project, pk=export_id).first()
    if export is None:
        raise Http404("There is no such export.")
    return export


@never_cache
@require_safe
def exports(request: HttpRequest, slug: str) -> HttpResponse:
    """Every kind of export, with its latest order."""
    project = _project_of_operator(request, slug)
    return render(request, "web/exports.html", {"project": project, "offers": list_offers(project)})


@require_POST
def request_one(request: HttpRequest, slug: str) -> HttpResponse:
    """Order an export; htmx gets its line of the page, anything else the page."""
    project = _project_of_operator(request, slug)
    kind, workflow_id = request.POST.get("kind", ""), request.POST.get("workflow", "")
    if kind not in Export.Kind.values:
        raise Http404("There is no such kind of export.")
    one = None
    if kind not in PROJECT_ONLY:
        if not workflow_id.isdecimal():
            raise Http404("There is no such workflow.")
        one = get_workflow(project, int(workflow_id))
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied("Only a person can order an export.")
    request_export(project=project, kind=kind, workflow=one, user=user)
    if not request.headers.get("HX-Request"):
        return HttpResponseRedirect(reverse("web:exports", args=[slug]))
    offer = read_offer(project, kind=kind, workflow=one)
    return render(request, "web/_export.html", {"project": project, "offer": offer})


@never_cache
@require_safe
def progress(request: HttpRequest, slug: str, export_id: int) -> HttpResponse:
    """The export's line of the page, which asks for itself again while the file is being made."""
    project = _project_of_operator(request, slug)
    export = _get_export(project, export_id)
    offer = read_offer(project, kind=export.kind, workflow=export.workflow)
    return render(request, "web/_export.html", {"project": project, "offer": offer})


@require_safe
def download(request: HttpRequest, slug: str, export_id: int) -> HttpResponseBase:
    """The file, gzip on the way as it lies on the disk."""
    project = _project_of_operator(request, slug)
    export = _get_export(project, export_id)
    if export.state != Export.State.READY:
        raise Http404("This export is not ready.")
    response = FileResponse(export_path(export).open("rb"), content_type="text/csv; charset=utf-8")
    response["Content-Encoding"] = "gzip"
    response["Content-Disposition"] = f'attachment; filename="{file_name(export)}"'
    return response
