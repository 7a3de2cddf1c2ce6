"""A project's front page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from esocs.accounts.identity import identity_from_session
from esocs.community.queries import count_reported
from esocs.web.access import get_visible_project, rights_in
from esocs.web.languages import speak_projects, speak_workflows
from esocs.web.progress import list_progress


@require_safe
def project(request: HttpRequest, slug: str) -> HttpResponse:
    """What the project is about, its workflows and how far they are."""
    identity = identity_from_session(request)
    found = get_visible_project(identity, slug=slug)
    rights = rights_in(found, identity)
    workflows = list_progress(found, active_only=not rights.review)
    speak_workflows([item.workflow for item in workflows])
    speak_projects([found])
    context = {
        "project": found,
        "workflows": workflows,
        "rights": rights,
        "identity": identity,
        "reported": count_reported(found) if rights.moderate else 0,
    }
    return render(request, "web/project.html", context)
