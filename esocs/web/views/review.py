"""What waits for an expert, and the audit that says how wrong the consensus is."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from esocs.accounts.identity import identity_from_session
from esocs.crowd.figures import read_figures
from esocs.crowd.review import draw_audit, get_audit, own_thresholds
from esocs.projects.rules import question_label
from esocs.web.access import get_visible_project, get_workflow, require_operation, require_review
from esocs.web.audit import describe_certificates
from esocs.web.review import KINDS, list_tabs, list_waiting

MOST_DRAWN = 10_000
USUAL_DRAW = 60


@never_cache
@require_safe
def review(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """The experts' queue by reason, and the audit."""
    return _page(request, slug, workflow_id)


@require_POST
def draw(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """Draw retired subjects at random for the audit."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    require_operation(project, identity)
    typed = request.POST.get("size", "").strip()
    if not (typed.isdecimal() and len(typed) <= 5 and 1 <= int(typed) <= MOST_DRAWN):
        error = f"“{typed[:20]}” is not a whole number from 1 to {MOST_DRAWN:,}."
        return _page(request, slug, workflow_id, size=typed[:20], error=error)
    wanted = int(typed)
    drawn = draw_audit(workflow=workflow, size=wanted)
    if drawn == wanted:
        messages.success(request, f"{drawn:,} retired subjects were drawn and wait for the experts.")
    else:
        messages.warning(
            request,
            f"{drawn:,} were drawn: no more subjects were retired by volunteers, not drawn before and not yet answered"
            " by an expert.",
        )
    return HttpResponseRedirect(reverse("web:review", args=[slug, workflow_id]) + "?kind=audit")


def _page(request: HttpRequest, slug: str, workflow_id: int, *, size: str = "", error: str = "") -> HttpResponse:
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    rights = require_review(project, identity)
    kind = request.GET.get("kind", "")
    kind = kind if kind in KINDS else ""
    counts = read_figures(workflow, "review").value
    rows, page = list_waiting(
        workflow, kind=kind, page=request.GET.get("page"), count=getattr(counts, kind) if kind else counts.total
    )
    audit = get_audit(workflow, probabilities=read_figures(workflow, "retired").value)
    context = {
        "project": project,
        "workflow": workflow,
        "rights": rights,
        "question": question_label(workflow.tasks, workflow.strings, workflow.first_task),
        "kind": kind,
        "kind_name": KINDS[kind],
        "counts": counts,
        "tabs": list_tabs(counts),
        "rows": rows,
        "page": page,
        "audit": audit,
        "certificates": describe_certificates(audit.certificates, own=own_thresholds(workflow)),
        "size": size or USUAL_DRAW,
        "error": error,
    }
    return render(request, "web/review.html", context, status=422 if error else 200)
