"""The machine's licence: its thresholds, the audit's alarm, today's votes; and the button that takes it away."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from esocs.accounts.identity import identity_from_session
from esocs.machine.withdrawal import withdraw_policy
from esocs.web.access import get_visible_project, get_workflow, require_operation, require_review
from esocs.web.routing import read_routing

LONGEST_REASON = 200


@never_cache
@require_safe
def routing(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """What is accepted, how the audit stands, what waits."""
    return _page(request, slug, workflow_id)


@require_POST
def withdraw(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """Withdraw the policy in force, by a person who says why."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    require_operation(project, identity)
    because = request.POST.get("because", "").strip()[:LONGEST_REASON]
    policy = read_routing(workflow).policy
    if policy is None or str(policy.pk) != request.POST.get("policy"):
        messages.warning(request, "Another policy has come into force meanwhile; nothing was withdrawn.")
    elif not because:
        return _page(request, slug, workflow_id, error="Say why, for those who look at this page later.")
    elif withdraw_policy(policy, because=because, author_id=identity.user_id):
        messages.success(request, "The machine is believed no more. What it had answered alone goes to volunteers.")
    else:
        messages.warning(request, "It was withdrawn before.")
    return HttpResponseRedirect(reverse("web:routing", args=[slug, workflow_id]))


def _page(request: HttpRequest, slug: str, workflow_id: int, *, error: str = "") -> HttpResponse:
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    rights = require_review(project, identity)
    context = {
        "project": project,
        "workflow": workflow,
        "rights": rights,
        "page": read_routing(workflow),
        "error": error,
        "longest": LONGEST_REASON,
    }
    return render(request, "web/routing.html", context, status=422 if error else 200)
