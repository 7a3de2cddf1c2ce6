"""Writes of this room: comments, reports and what moderators do. `Comment` rows are the truth, tags follow them."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from esocs.accounts.identity import Identity
from esocs.accounts.models import User
from esocs.community import rules
from esocs.community.access import is_moderator, require_thread
from esocs.community.errors import CommentForbiddenError, CommentInvalidError, CommentTooSoonError
from esocs.community.models import Comment, CommentReport, CommentTag, Moderation
from esocs.projects.models import Subject

# A lively conversation stays far below; a program that advertises does not.
MOST_COMMENTS = 20
WITHIN = timedelta(minutes=10)
LONGEST_REASON = 500


def write_comment(*, identity: Identity, subject: Subject, body: str, key: uuid.UUID) -> Comment:
    """Add to a subject's thread. The same key again is the same comment.

    Raises:
        CommentInvalidError: no words, or too many.
        CommentForbiddenError: nobody is logged in.
        ThreadClosedError: the writer may still be asked about the subject.
        CommentTooSoonError: they wrote too many lately.
    """
    if identity.user_id is None:
        raise CommentForbiddenError("Comments need a name.", hint="Log in or sign up; your work comes along.")
    text = rules.check_body(body)
    require_thread(identity, subject)
    with transaction.atomic():
        # One of a person's comments after the other: two at once would both be below the limit.
        User.objects.select_for_update(of=("self",)).only("id").get(pk=identity.user_id)
        known = Comment.objects.filter(key=key).first()
        if known is not None:
            if known.author_id != identity.user_id or known.subject_id != subject.pk:
                raise CommentInvalidError("This form was sent before, with other words.", hint="Load the page anew.")
            return known
        lately = Comment.objects.filter(author_id=identity.user_id, created_at__gt=Now() - WITHIN)
        if lately.count() >= MOST_COMMENTS:
            raise CommentTooSoonError("That is a lot of comments in ten minutes.", hint="Wait a little.")
        comment = Comment.objects.create(
            project_id=subject.project_id, subject=subject, author_id=identity.user_id, body=text, key=key
        )
        _write_tags(comment)
    return comment


@transaction.atomic
def edit_comment(*, identity: Identity, comment: Comment, body: str) -> Comment:
    """Put other words in the place of one's own; the page says that it was edited.

    Raises:
        CommentInvalidError: no words, or too many.
        CommentForbiddenError: it is somebody else's, or no longer visible.
    """
    text = rules.check_body(body)
    own = Comment.objects.filter(pk=comment.pk, author_id=identity.user_id or 0, state=Comment.State.VISIBLE)
    if not own.update(body=text, edited_at=Now()):
        raise CommentForbiddenError("Only its author can change a comment that is visible.")
    comment.refresh_from_db()
    _write_tags(comment)
    return comment


@transaction.atomic
def withdraw_comment(*, identity: Identity, comment: Comment) -> None:
    """Take one's own words back: the thread keeps the place, the words are gone.

    Raises:
        CommentForbiddenError: it is somebody else's.
    """
    own = Comment.objects.filter(pk=comment.pk, author_id=identity.user_id or 0)
    if not own.update(body="", state=Comment.State.WITHDRAWN):
        raise CommentForbiddenError("Only its author can withdraw a comment.")
    CommentTag.objects.filter(comment=comment).delete()


def report_comment(*, identity: Identity, comment: Comment, reason: str) -> CommentReport:
    """Ask the moderators to look at a comment; the same person's second report is their first.

    Raises:
        CommentForbiddenError: nobody is logged in.
        CommentInvalidError: no reason is given, or a long one.
    """
    if identity.user_id is None:
        raise CommentForbiddenError("Reports need a name.", hint="Log in first.")
    words = reason.replace("\0", "").strip()
    if not words or len(words) > LONGEST_REASON:
        raise CommentInvalidError(f"Say in at most {LONGEST_REASON} characters what is wrong with it.")
    report, _ = CommentReport.objects.get_or_create(
        comment=comment, reporter_id=identity.user_id, defaults={"reason": words}
    )
    return report


@transaction.atomic
def judge_comment(*, identity: Identity, comment: Comment, act: str, reason: str = "") -> None:
    """Hide a comment, show it again, or keep it; what was reported about it is answered thereby.

    Args:
        identity: a moderator of the project.
        comment: in whatever state.
        act: of `Moderation.Act`.
        reason: for the other moderators.

    Raises:
        CommentForbiddenError: the asker is no moderator, or the author has withdrawn the comment.
    """
    if not is_moderator(identity, comment.project):
        raise CommentForbiddenError("Only the project's moderators judge comments.")
    row = Comment.objects.select_for_update(of=("self",)).get(pk=comment.pk)
    if row.state == Comment.State.WITHDRAWN and act != Moderation.Act.KEEP:
        raise CommentForbiddenError("Its author has withdrawn it already.")
    if act != Moderation.Act.KEEP:
        row.state = Comment.State.HIDDEN if act == Moderation.Act.HIDE else Comment.State.VISIBLE
        row.save(update_fields=["state"])
        _write_tags(row)
    Moderation.objects.create(comment=row, moderator_id=identity.user_id, act=act, reason=reason[:LONGEST_REASON])
    verdict = CommentReport.Verdict.HIDDEN if row.state == Comment.State.HIDDEN else CommentReport.Verdict.KEPT
    CommentReport.objects.filter(comment=row, verdict="").update(
        verdict=verdict, judged_by=identity.user_id, judged_at=Now()
    )


def _write_tags(comment: Comment) -> None:
    CommentTag.objects.filter(comment=comment).delete()
    if comment.state == Comment.State.VISIBLE:
        CommentTag.objects.bulk_create(
            CommentTag(comment=comment, project_id=comment.project_id, tag=tag) for tag in rules.list_tags(comment.body)
        )
