"""What a training subject tells once it is answered: asked for by the classify page ahead of the answer."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from esocs.accounts.identity import identity_from_session
from esocs.crowd.practice import read_feedback
from esocs.web.access import get_visible_project, get_workflow
from esocs.web.subject_thread import get_subject


@never_cache
@require_safe
def feedback(request: HttpRequest, slug: str, workflow_id: int, subject_id: int) -> HttpResponse:
    """The right answers as JSON, or nothing (204)."""
    project = get_visible_project(identity_from_session(request), slug=slug)
    told = read_feedback(get_workflow(project, workflow_id), get_subject(project, subject_id))
    return JsonResponse(told) if told else HttpResponse(status=204)
