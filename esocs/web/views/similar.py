"""More like this, the oddest first, and the pictures of subjects that nobody was asked about."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from esocs.accounts.identity import identity_from_session
from esocs.machine.models import Route
from esocs.machine.similar import Place
from esocs.projects.models import Media, Subject, Workflow
from esocs.projects.rules import answer_labels
from esocs.projects.services import ensure_pictures
from esocs.web.access import get_visible_project, get_workflow, require_review
from esocs.web.similar import SHOWN_SIMILAR, read_oddest, read_similar

ROUTES = [
    ("", "Any route"),
    (Route.Decision.ACCEPT, "Accepted from the machine"),
    (Route.Decision.VOLUNTEERS, "Sent to volunteers"),
    (Route.Decision.AUDIT, "Blind audit"),
    (Route.Decision.EXPERTS, "Sent to experts"),
]


def read_asked(query: dict[str, str]) -> dict[str, Any]:
    """The filters in an address; what makes no sense is left out."""
    decision, answer = query.get("route", ""), query.get("answer", "")
    return {
        "decision": decision if decision in dict(ROUTES) else "",
        "answer": int(answer) if answer.isdecimal() and len(answer) <= 4 else None,
    }


def read_place(text: str) -> Place | None:
    """`distance,route` of an address; None for anything else."""
    distance, _, route_id = text.partition(",")
    try:
        place = Place(distance=float(distance), route_id=int(route_id))
    except ValueError:
        return None
    return place if math.isfinite(place.distance) and 0 < place.route_id < 1 << 63 else None


@never_cache
@require_safe
def similar(request: HttpRequest, slug: str, workflow_id: int, subject_id: int) -> HttpResponse:
    """The subjects most like one, with filters."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    rights = require_review(project, identity)
    subject = _get_subject(workflow, subject_id)
    asked = read_asked(request.GET.dict())
    context = {
        "project": project,
        "workflow": workflow,
        "rights": rights,
        "subject": subject,
        "picture": _picture(subject),
        "page": read_similar(workflow, subject.pk, limit=SHOWN_SIMILAR, **asked),
        "asked": asked,
        **_choices(workflow),
    }
    return render(request, "web/similar.html", context)


@never_cache
@vary_on_headers("HX-Request")
@require_safe
def oddest(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """A page of the oddest subjects; htmx gets the grid alone."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    rights = require_review(project, identity)
    asked = read_asked(request.GET.dict())
    after = read_place(request.GET.get("after", ""))
    named = {"route": asked["decision"], "answer": asked["answer"]}
    context = {
        "project": project,
        "workflow": workflow,
        "rights": rights,
        "page": read_oddest(workflow, after=after, **asked),
        "asked": asked,
        "after": after,
        "query": urlencode({key: value for key, value in named.items() if value not in {"", None}}),
    }
    if request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request"):
        return render(request, "web/_oddest_grid.html", context)
    return render(request, "web/oddest.html", context | _choices(workflow))


@never_cache
@require_safe
def picture(request: HttpRequest, slug: str, workflow_id: int, subject_id: int) -> HttpResponse:
    """A subject's picture, rendered now if it has none: nobody was asked about an accepted subject."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    require_review(project, identity)
    subject = _get_subject(workflow, subject_id)
    found = _picture(subject)
    if found is None and subject.plane_id is not None:
        ensure_pictures([subject])
        found = _picture(subject)
    if found is None:
        raise Http404("This subject has no picture.")
    return HttpResponseRedirect(found.url)


def _get_subject(workflow: Workflow, subject_id: int) -> Subject:
    members = Subject.objects.filter(set_members__subject_set__workflows=workflow, pk=subject_id)
    subject = members.select_related("plane__product", "plane__shard").first()
    if subject is None:
        raise Http404("There is no such subject.")
    return subject


def _picture(subject: Subject) -> Media | None:
    rows = Media.objects.filter(subject=subject, role=Media.Role.LOCATION, media_type__startswith="image/")
    return rows.order_by("position").first()


def _choices(workflow: Workflow) -> dict[str, Any]:
    return {
        "routes": ROUTES,
        "labels": list(enumerate(answer_labels(workflow.tasks, workflow.strings, workflow.first_task))),
    }
