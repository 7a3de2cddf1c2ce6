"""The volunteer's page. The page carries its workflow; subjects come from the programs' door (DESIGN §6)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from esocs.accounts.identity import ensure_volunteer, identity_from_session
from esocs.crowd.models import SubjectStatus
from esocs.projects.models import Project, Workflow
from esocs.projects.task_checks import picture_sites
from esocs.web.access import get_visible_project, get_workflow, rights_in
from esocs.web.companion import read_companion
from esocs.web.languages import speak_projects, speak_workflows
from esocs.web.policy import HEADER, policy

# The programs' door is a sister of this one, so its addresses are written here; a test asks for both.
QUEUE_URL = "/api/subjects/queued"
CLASSIFICATIONS_URL = "/api/classifications"
QUEUE_DEPTH = 8
# An answer asks for more as soon as so many are missing: finding three subjects takes little longer than finding one.
REFILL_FROM = 3
# Where so many subjects are open that nobody else waits for those that one volunteer holds, a page holds enough to
# go on for long without a connection. It takes them a few at a time.
DEEP_QUEUE = 56
PLENTY = 2_000
DECODE_AHEAD = 2
PANOPTES_VIEWER_OPTIONS = ("multi_image_mode", "flipbook_autoplay")


@never_cache
@ensure_csrf_cookie
@require_safe
def classify(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """The page on which a person answers a workflow's questions, with or without an account."""
    # The session must have its volunteer before the page's scripts ask several things at once.
    identity = ensure_volunteer(request, identity_from_session(request))
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    rights = rights_in(project, identity)
    # What waits for experts is answered on the same page; the answers become the gold standard.
    gold = rights.review and request.GET.get("audience") == "experts"
    queue_url = f"{QUEUE_URL}?audience=experts" if gold else QUEUE_URL
    first = "&" if gold else "?"
    others = list(Workflow.objects.filter(project=project, active=True).exclude(pk=workflow.pk).order_by("id"))
    speak_projects([project])
    speak_workflows([workflow, *others])
    context = {
        "project": project,
        "workflow": workflow,
        "others": others,
        "rights": rights,
        "gold": gold,
        "identity": identity,
        "page_data": _page_data(project, workflow, queue_url=queue_url, gold=gold)
        | {"companion": read_companion(workflow, identity, language=get_language() or "en")},
        # The very address that a page with nothing in its outbox asks first, so that the browser need not wait
        # for the scripts before it asks.
        "first_queue_url": f"{queue_url}{first}workflow_id={workflow.pk}&page_size={QUEUE_DEPTH}&held=",
    }
    response = render(request, "web/classify.html", context)
    response.headers[HEADER] = policy(pictures_from=picture_sites(workflow.tasks, workflow.strings))
    return response


def _viewer_configuration(workflow: Workflow) -> dict[str, Any]:
    """How the viewers begin: the workflow's `viewer`, and what Panoptes has other names for."""
    configuration = workflow.configuration if isinstance(workflow.configuration, dict) else {}
    viewer = configuration.get("viewer")
    panoptes = {name: configuration[name] for name in PANOPTES_VIEWER_OPTIONS if name in configuration}
    return panoptes | (viewer if isinstance(viewer, dict) else {})


def _page_data(project: Project, workflow: Workflow, *, queue_url: str, gold: bool) -> dict[str, Any]:
    """What the page's scripts need to know (frontend/src/classify/types.ts: PageData)."""
    return {
        "project": {"id": str(project.pk), "name": project.display_name},
        "workflow": {
            "id": str(workflow.pk),
            "version": workflow.version,
            "kind": workflow.subject_kind,
            "display_name": workflow.display_name,
            "first_task": workflow.first_task,
            "tasks": workflow.tasks,
            "strings": workflow.strings,
            "steps": workflow.steps,
        },
        "viewer": _viewer_configuration(workflow),
        "urls": {
            "queue": queue_url,
            "classifications": CLASSIFICATIONS_URL,
            "csrf": reverse("web:renew-csrf"),
        },
        "queue": {
            "depth": _depth(workflow, gold=gold),
            "at_once": QUEUE_DEPTH,
            "refill_from": REFILL_FROM,
            "decode_ahead": DECODE_AHEAD,
        },
        "gold": gold,
    }


def _depth(workflow: Workflow, *, gold: bool) -> int:
    """How many subjects a page may hold; counting ends where there are plenty."""
    open_statuses = SubjectStatus.objects.filter(workflow=workflow, state="open", audience="volunteers")
    plenty = not gold and open_statuses.order_by()[:PLENTY].count() >= PLENTY
    return DEEP_QUEUE if plenty else QUEUE_DEPTH
