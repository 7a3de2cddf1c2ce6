"""A subject's thread, what is being said in a project, and the moderators' page."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from classifier.errors import EsocsError
from esocs.accounts.identity import Identity, identity_from_session
from esocs.community import access, queries, services
from esocs.community.models import Comment, Moderation
from esocs.community.rules import LONGEST_COMMENT
from esocs.projects.models import Project
from esocs.web.access import get_visible_project
from esocs.web.subject_thread import get_subject, read_subject_view

PAGE_SIZE = 30


@never_cache
@require_safe
def subject(request: HttpRequest, slug: str, subject_id: int) -> HttpResponse:
    """One subject as volunteers see it: its pictures, its facts, and what people say about it."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    context = _thread(project, identity, subject_id)
    return render(request, "web/subject.html", context)


def _thread(project: Project, identity: Identity, subject_id: int) -> dict[str, Any]:
    found = get_subject(project, subject_id)
    open_to_me = access.may_read_thread(identity, found)
    return {
        "project": project,
        "identity": identity,
        "subject": found,
        "view": read_subject_view(found, identity, classified=open_to_me),
        "thread_open": open_to_me,
        "comments": list(queries.list_thread(found)) if open_to_me else [],
        "moderator": access.is_moderator(identity, project),
        "key": uuid.uuid4(),
        "longest": LONGEST_COMMENT,
    }


@require_POST
def write(request: HttpRequest, slug: str, subject_id: int) -> HttpResponse:
    """Add a comment; what cannot be stored comes back with its words and a sentence."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    found = get_subject(project, subject_id)
    body = request.POST.get("body", "")
    try:
        comment = services.write_comment(identity=identity, subject=found, body=body, key=_key(request))
    except EsocsError as error:
        context = _thread(project, identity, subject_id) | {"error": error, "body": body}
        return render(request, "web/subject.html", context, status=error.status)
    return HttpResponseRedirect(f"{_address(comment)}#comment-{comment.pk}")


def _key(request: HttpRequest) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("key", ""))
    except ValueError:
        return uuid.uuid4()


def _address(comment: Comment) -> str:
    return reverse("web:subject", args=[comment.subject.project.slug, comment.subject_id])


def _on_comment(act: Callable[[HttpRequest, Identity, Comment], str]) -> Callable[..., HttpResponse]:
    """A view that does something to one comment, says so, and leads back to its thread or to where it was asked."""

    @require_POST
    def view(request: HttpRequest, slug: str, comment_id: int) -> HttpResponse:
        identity = identity_from_session(request)
        project = get_visible_project(identity, slug=slug)
        rows = Comment.objects.filter(project=project, pk=comment_id).select_related("project", "subject__project")
        comment = rows.first()
        if comment is None:
            raise Http404("There is no such comment.")
        try:
            messages.success(request, act(request, identity, comment))
        except EsocsError as error:
            messages.error(request, f"{error.message} {error.hint}".strip())
        if request.POST.get("from") == "moderation":
            return HttpResponseRedirect(reverse("web:moderation", args=[project.slug]))
        return HttpResponseRedirect(f"{_address(comment)}#comment-{comment.pk}")

    return view


def _edit(request: HttpRequest, identity: Identity, comment: Comment) -> str:
    services.edit_comment(identity=identity, comment=comment, body=request.POST.get("body", ""))
    return _("Your comment was changed.")


def _withdraw(request: HttpRequest, identity: Identity, comment: Comment) -> str:  # noqa: ARG001 - one signature for all
    services.withdraw_comment(identity=identity, comment=comment)
    return _("Your comment was withdrawn.")


def _report(request: HttpRequest, identity: Identity, comment: Comment) -> str:
    services.report_comment(identity=identity, comment=comment, reason=request.POST.get("reason", ""))
    return _("Thank you. The project’s moderators will look at it.")


def _judge(request: HttpRequest, identity: Identity, comment: Comment) -> str:
    act = request.POST.get("act", "")
    if act not in Moderation.Act.values:
        raise Http404("There is no such act.")
    services.judge_comment(identity=identity, comment=comment, act=act, reason=request.POST.get("reason", ""))
    return {
        Moderation.Act.HIDE: _("The comment is hidden."),
        Moderation.Act.SHOW: _("The comment is shown again."),
        Moderation.Act.KEEP: _("The comment stays, and its reports are answered."),
    }[Moderation.Act(act)]


edit, withdraw, report, judge = (_on_comment(act) for act in (_edit, _withdraw, _report, _judge))


@never_cache
@require_safe
def talk(request: HttpRequest, slug: str) -> HttpResponse:
    """What is being said in the project, newest first, all of it or under one tag."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    tag = request.GET.get("tag", "").lower()[:40]
    page = Paginator(queries.list_newest_comments(project, tag=tag), PAGE_SIZE).get_page(request.GET.get("page"))
    readable = {comment.pk for comment in page if access.may_read_thread(identity, comment.subject)}
    context = {
        "project": project,
        "tag": tag,
        "page": page,
        "readable": readable,
        "tags": queries.list_popular_tags(project),
        "moderator": access.is_moderator(identity, project),
    }
    return render(request, "web/talk.html", context)


@never_cache
@require_safe
def moderation(request: HttpRequest, slug: str) -> HttpResponse:
    """Reported comments, for those who judge them."""
    identity = identity_from_session(request)
    project = get_visible_project(identity, slug=slug)
    if not access.is_moderator(identity, project):
        raise PermissionDenied("This page belongs to the project's moderators.")
    page = Paginator(queries.list_reported(project), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "web/moderation.html", {"project": project, "page": page})
