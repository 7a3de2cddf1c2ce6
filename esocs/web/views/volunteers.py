"""Everybody's skill: how much each volunteer's answers tell, who is not heard and why."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from esocs.accounts.identity import identity_from_session
from esocs.web.access import get_visible_project, get_workflow, require_review
from esocs.web.volunteers import SHOWN, SORTS, question_choices, read_volunteers


@never_cache
@vary_on_headers("HX-Request")
@require_safe
def volunteers(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """A question's skills under the current epoch; htmx gets the table alone."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    rights = require_review(project, identity)
    sort, shown = request.GET.get("sort", ""), request.GET.get("shown", "")
    asked = {
        "question": request.GET.get("question", ""),
        "shown": shown if shown in SHOWN else "",
        "sort": sort if sort in SORTS else "",
    }
    found = read_volunteers(
        workflow,
        task_key=asked["question"],
        shown=asked["shown"],
        sort=asked["sort"],
        page=request.GET.get("page"),
    )
    context = {
        "project": project,
        "workflow": workflow,
        "rights": rights,
        "found": found,
        "asked": asked,
        "query": urlencode({key: value for key, value in asked.items() if value}),
    }
    if found and request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request"):
        return render(request, "web/_volunteers_table.html", context)
    context |= {"questions": question_choices(workflow), "sorts": SORTS.items(), "kinds": SHOWN.items()}
    return render(request, "web/volunteers.html", context)
