"""A volunteer's own page in a project: what they did, how it came out, and what the network learned."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from esocs.accounts.identity import identity_from_session
from esocs.community.work import SHOWN_AT_ONCE, count_work, list_lessons, list_outcomes
from esocs.web.access import get_visible_project


@never_cache
@require_safe
def work(request: HttpRequest, slug: str) -> HttpResponse:
    """The asker's votes at work; an anonymous session has some too."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    volunteer_id = identity.volunteer_id or 0
    asked = request.GET.get("before", "")
    before = int(asked) if asked.isdecimal() and len(asked) <= 18 else None
    outcomes = list_outcomes(volunteer_id=volunteer_id, project=project, before=before, limit=SHOWN_AT_ONCE + 1)
    context = {
        "project": project,
        "identity": identity,
        "tally": count_work(volunteer_id=volunteer_id, project=project, today=datetime.now(tz=UTC).date()),
        "outcomes": outcomes[:SHOWN_AT_ONCE],
        "next_before": outcomes[SHOWN_AT_ONCE - 1].classification_id if len(outcomes) > SHOWN_AT_ONCE else None,
        "later": before is not None,
        "lessons": list_lessons(volunteer_id=volunteer_id, project=project) if before is None else [],
    }
    return render(request, "web/work.html", context)
