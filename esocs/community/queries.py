"""Reads of this room: threads, tags and what moderators have to look at."""

from __future__ import annotations

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from esocs.community.models import Comment, CommentReport, CommentTag
from esocs.projects.models import Project, Subject


def list_thread(subject: Subject) -> QuerySet[Comment]:
    """All comments on a subject, oldest first, hidden and withdrawn ones included."""
    return Comment.objects.filter(subject=subject).select_related("author").order_by("id")


def list_newest_comments(project: Project, *, tag: str = "") -> QuerySet[Comment]:
    """What is being said in a project, newest first; with a tag, only what bears it."""
    rows = Comment.objects.filter(project=project, state=Comment.State.VISIBLE)
    if tag:
        rows = rows.filter(Exists(CommentTag.objects.filter(comment=OuterRef("pk"), tag=tag)))
    return rows.select_related("author", "subject__project").order_by("-id")


def list_popular_tags(project: Project, *, limit: int = 30) -> list[tuple[str, int]]:
    """The project's tags with how many subjects bear them, most used first."""
    rows = CommentTag.objects.filter(project=project).values("tag")
    rows = rows.annotate(n=Count("comment__subject", distinct=True)).order_by("-n", "tag")
    return [(row["tag"], row["n"]) for row in rows[:limit]]


def list_reported(project: Project) -> QuerySet[Comment]:
    """Comments with reports that nobody has judged, the longest waiting first; `waiting` counts the reports."""
    waiting = Q(reports__verdict="")
    rows = Comment.objects.filter(project=project).annotate(
        waiting=Count("reports", filter=waiting), newest_report=Max("reports__id", filter=waiting)
    )
    rows = rows.filter(waiting__gt=0).select_related("author", "subject__project")
    return rows.prefetch_related("reports__reporter").order_by("newest_report")


def count_reported(project: Project) -> int:
    """How many comments wait for a moderator."""
    return CommentReport.objects.filter(comment__project=project, verdict="").values("comment").distinct().count()
