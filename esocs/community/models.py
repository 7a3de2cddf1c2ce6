"""Comments on subjects and what was done about them. A comment is hidden or withdrawn, never silently lost."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from esocs.projects.models import Project, Subject


class Comment(models.Model):
    """What one person wrote about a subject, in its thread."""

    class State(models.TextChoices):
        VISIBLE = "visible"
        WITHDRAWN = "withdrawn", "Withdrawn by its author"
        HIDDEN = "hidden", "Hidden by a moderator"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="comments")
    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="comments",
        help_text="Nobody, when the account was erased.",
    )
    body = models.TextField(help_text="As it was written; pages escape it. Empty when the author withdrew it.")
    key = models.UUIDField(default=uuid.uuid4, unique=True, help_text="Of the form: sent twice, it is one comment.")
    state = models.CharField(max_length=9, choices=State, default=State.VISIBLE)
    created_at = models.DateTimeField(db_default=Now())
    edited_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["visible", "withdrawn", "hidden"]), name="comment_state_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="withdrawn") | models.Q(body=""), name="comment_withdrawn_is_empty"
            ),
        ]
        indexes = [
            models.Index(fields=["subject", "id"], name="comment_thread"),
            models.Index(fields=["project", "-id"], name="comment_newest"),
            models.Index(fields=["author", "-created_at"], name="comment_author"),
        ]

    def __str__(self) -> str:
        return f"comment {self.pk} on {self.subject_id}"


class CommentTag(models.Model):
    """A hashtag in a visible comment: the cache by which tagged subjects are found."""

    comment = models.ForeignKey(Comment, on_delete=models.CASCADE, related_name="tags")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="comment_tags")
    tag = models.CharField(max_length=40, help_text="Lower case, without the #.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["comment", "tag"], name="comment_tag_unique")]
        indexes = [models.Index(fields=["project", "tag"], name="comment_tag_found")]

    def __str__(self) -> str:
        return f"#{self.tag}"


class CommentReport(models.Model):
    """Somebody says that a comment should not stand; a moderator judges."""

    class Verdict(models.TextChoices):
        HIDDEN = "hidden", "The comment was hidden"
        KEPT = "kept", "The comment was kept"

    comment = models.ForeignKey(Comment, on_delete=models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(db_default=Now())
    verdict = models.CharField(max_length=6, choices=Verdict, blank=True, help_text="Empty while it waits.")
    judged_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    judged_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["comment", "reporter"], name="comment_report_unique"),
            models.CheckConstraint(
                condition=models.Q(verdict="", judged_at__isnull=True)
                | models.Q(verdict__in=["hidden", "kept"], judged_at__isnull=False),
                name="comment_report_judged_or_not",
            ),
        ]
        indexes = [models.Index(fields=["comment"], condition=models.Q(verdict=""), name="comment_report_waiting")]

    def __str__(self) -> str:
        return f"report on {self.comment_id}"


class Moderation(models.Model):
    """What a moderator did to a comment, and why. Written with the change, never changed."""

    class Act(models.TextChoices):
        HIDE = "hide"
        SHOW = "show"
        KEEP = "keep"

    comment = models.ForeignKey(Comment, on_delete=models.CASCADE, related_name="moderations")
    moderator = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    act = models.CharField(max_length=4, choices=Act)
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.act} {self.comment_id}"


class Erasure(models.Model):
    """That an account was erased, and what became of its rows. It names nobody."""

    classifications = models.PositiveBigIntegerField(help_text="Kept, without a name.")
    comments = models.PositiveIntegerField(help_text="Emptied.")
    collections = models.PositiveIntegerField(help_text="Deleted.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"erasure {self.pk}"
