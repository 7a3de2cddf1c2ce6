"""The scientists' pages: a workflow's results, and all that is known about one subject."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from esocs.accounts.identity import identity_from_session
from esocs.crowd.models import SubjectStatus
from esocs.machine.models import Route
from esocs.projects.rules import answer_labels, question_label
from esocs.web.access import get_visible_project, get_workflow, require_review
from esocs.web.results import Filters, list_results
from esocs.web.subject_page import read_subject_page
from esocs.web.summary import read_overview

ROUTES = [
    ("", "All that people were asked"),
    (Route.Decision.VOLUNTEERS, "Sent to volunteers"),
    (Route.Decision.AUDIT, "Blind audit"),
    (Route.Decision.EXPERTS, "Sent to experts"),
    (Route.Decision.ACCEPT, "Accepted from the machine"),
]
STATES = [("", "Any state"), *((state.value, state.label) for state in SubjectStatus.State)]


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) <= 18 else None


def read_filters(query: dict[str, str]) -> Filters:
    """The filters in an address; what makes no sense is left out."""
    route, state = query.get("route", ""), query.get("state", "")
    return Filters(
        route=route if route in dict(ROUTES) else "",
        state=state if state in dict(STATES) else "",
        answer=_number(query.get("answer")),
        flagged=query.get("flagged") == "1",
        subject=_number(query.get("subject")),
    )


@never_cache
@vary_on_headers("HX-Request")
@require_safe
def workflow_results(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """The summary and a page of subjects; htmx gets the table alone."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    rights = require_review(project, identity)
    query = request.GET.dict()
    after = _number(query.pop("after", None)) or 0
    page = list_results(workflow, filters=read_filters(query), after=after)
    context = {
        "project": project,
        "workflow": workflow,
        "page": page,
        "after": after,
        "filters": read_filters(query),
        "query": urlencode({key: value for key, value in query.items() if value}),
    }
    if request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request"):
        return render(request, "web/_results_table.html", context)
    context |= {
        "rights": rights,
        "overview": read_overview(workflow),
        "question": question_label(workflow.tasks, workflow.strings, workflow.first_task),
        "labels": list(enumerate(answer_labels(workflow.tasks, workflow.strings, workflow.first_task))),
        "routes": ROUTES,
        "states": STATES,
    }
    return render(request, "web/results.html", context)


@never_cache
@require_safe
def subject_result(request: HttpRequest, slug: str, workflow_id: int, subject_id: int) -> HttpResponse:
    """One subject: consensus, votes, predictions, routes and provenance."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    require_review(project, identity)
    context = {"project": project, "workflow": workflow, "page": read_subject_page(workflow, subject_id)}
    return render(request, "web/subject_result.html", context)
