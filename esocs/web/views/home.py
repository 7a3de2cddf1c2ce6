"""The front page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from esocs.accounts.identity import identity_from_session
from esocs.projects.access import list_visible_projects
from esocs.web.languages import speak_projects


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What esocs is, and the projects one can join."""
    projects = list(list_visible_projects(identity_from_session(request)).order_by("display_name")[:100])
    speak_projects(projects)
    return render(request, "web/home.html", {"projects": projects})


@require_safe
def robots(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Opening a classify page makes a volunteer, which no search engine is."""
    return HttpResponse("User-agent: *\nDisallow: /*/classify/\nDisallow: /api/\n", content_type="text/plain")
