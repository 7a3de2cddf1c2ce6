"""The operations page: which files could not be read and why, which background work failed."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from esocs.accounts.identity import identity_from_session
from esocs.jobs.queries import list_failed
from esocs.web.access import get_visible_project, require_operation
from esocs.web.operations import count_jobs, count_rejections, list_rejected

PAGE_SIZE = 50


@never_cache
@require_safe
def operations(request: HttpRequest, slug: str) -> HttpResponse:
    """Rejected products with their named error, and for staff the state of all background work."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    require_operation(project, identity)
    rejected = list_rejected(project, all_batches=identity.is_staff)
    counts = count_rejections(rejected)
    code = request.GET.get("error", "")
    shown = rejected.filter(error_code=code) if code else rejected
    context = {
        "project": project,
        "workflows": project.workflows.order_by("id"),
        "page": Paginator(shown, PAGE_SIZE).get_page(request.GET.get("page")),
        "counts": counts,
        "code": code,
        "identity": identity,
        "jobs": count_jobs(),
        # Jobs belong to the whole site and their errors may name other projects' files.
        "failed": list_failed() if identity.is_staff else [],
    }
    return render(request, "web/operations.html", context)
