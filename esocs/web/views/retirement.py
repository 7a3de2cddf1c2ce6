"""When a workflow's subjects retire and how votes are weighed: trying a change out, setting it, its history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from classifier.errors import EsocsError
from esocs.accounts.identity import identity_from_session
from esocs.accounts.models import User
from esocs.crowd import queries
from esocs.crowd.modes import MODES
from esocs.crowd.rule_templates import TEMPLATES
from esocs.projects.models import Project, Workflow
from esocs.projects.rules import answer_labels, list_questions
from esocs.web import retirement as form_of
from esocs.web.access import Rights, get_visible_project, get_workflow, require_operation
from esocs.web.retirement import RetirementForm
from esocs.web.retirement_words import REASONS, describe_changes, describe_criterion, list_setting_lines
from esocs.web.rule_words import describe_caesar

SETTINGS_SHOWN = 20
CHANGES_SHOWN = 50


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def retirement(request: HttpRequest, slug: str, workflow_id: int) -> HttpResponse:
    """The form, what it would change, and the history; htmx gets the form alone."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    workflow = get_workflow(project, workflow_id)
    rights = require_operation(project, identity)
    if request.method != "POST":
        return _page(request, project, workflow, rights, form=form_of.read_current(workflow))
    form = form_of.read_typed(workflow, request.POST.dict())
    verb, _, about = request.POST.get("do", "preview").partition(":")
    if verb == "add":
        return _page(request, project, workflow, rights, form=form_of.add_rule(form, about))
    if verb == "remove":
        return _page(request, project, workflow, rights, form=form_of.remove_rule(form, about), removed=True)
    form = form_of.check(workflow, form)
    if form.faulty:
        return _page(request, project, workflow, rights, form=form, status=422)
    return (
        _save(request, project, workflow, rights, form)
        if verb == "save"
        else _try(request, project, workflow, rights, form)
    )


def _try(
    request: HttpRequest, project: Project, workflow: Workflow, rights: Rights, form: RetirementForm
) -> HttpResponse:
    try:
        preview = form_of.preview(workflow, form)
    except EsocsError as error:
        return _page(request, project, workflow, rights, form=replace(form, error=error), status=422)
    reasons = [(REASONS.get(reason, reason), n) for reason, n in preview.reasons.items()]
    return _page(request, project, workflow, rights, form=form, preview=preview, reasons=reasons)


def _save(
    request: HttpRequest, project: Project, workflow: Workflow, rights: Rights, form: RetirementForm
) -> HttpResponse:
    try:
        changed = form_of.save(workflow, form, author=request.user if isinstance(request.user, User) else None)
    except EsocsError as error:
        workflow.refresh_from_db()
        stale = form_of.refresh(workflow, replace(form, error=error))
        return _page(request, project, workflow, rights, form=stale, status=error.status)
    if changed:
        messages.success(request, "Saved. Every subject is now considered again, in the background.")
    elif workflow.consensus_mode != form.mode:
        messages.success(request, f"Saved. The next fit weighs votes by “{MODES[form.mode].title}”.")
    else:
        messages.info(request, "Nothing was changed.")
    return HttpResponseRedirect(reverse("web:retirement", args=[project.slug, workflow.pk]))


def _page(
    request: HttpRequest,
    project: Project,
    workflow: Workflow,
    rights: Rights,
    *,
    form: RetirementForm,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    labels = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    sets = form_of.list_target_sets(workflow)
    single = workflow.tasks.get(workflow.first_task, {}).get("type") == "single"
    context = {
        "project": project,
        "workflow": workflow,
        "rights": rights,
        "form": form,
        "rules": [(row, form_of.sentence_parts(workflow, row, sets)) for row in form.rules],
        "templates": [one for one in TEMPLATES.values() if single or one.name in form_of.COUNTING],
        "thresholds": list(zip(labels, form.thresholds, strict=True)) if single else [],
        "asks": bool(list_questions(workflow.tasks, workflow.first_task)),
        "sets": sets,
        "modes": MODES.values(),
        **more,
    }
    if request.headers.get("HX-Request"):
        return render(request, "web/_retirement_form.html", context, status=status)
    context |= {
        "now": describe_criterion(workflow.retirement, labels),
        "settings": list_setting_lines(workflow, limit=SETTINGS_SHOWN),
        "caesar": describe_caesar(workflow, REASONS),
        "changes": describe_changes(list(queries.list_changes(workflow)[:CHANGES_SHOWN]), labels),
    }
    return render(request, "web/retirement.html", context, status=status)
