"""Comments and reports, for operators. Moderators have a page of their own."""

from django.contrib import admin

from esocs.community.models import Comment, CommentReport, Erasure, Moderation


@admin.register(Comment)
class CommentAdmin(admin.ModelAdmin[Comment]):
    list_display = ["id", "project", "subject_id", "author", "state", "created_at"]
    list_filter = ["state"]
    search_fields = ["body", "author__login"]
    raw_id_fields = ["project", "subject", "author"]


@admin.register(CommentReport)
class CommentReportAdmin(admin.ModelAdmin[CommentReport]):
    list_display = ["id", "comment", "reporter", "verdict", "created_at"]
    list_filter = ["verdict"]
    raw_id_fields = ["comment", "reporter", "judged_by"]


@admin.register(Moderation)
class ModerationAdmin(admin.ModelAdmin[Moderation]):
    list_display = ["id", "comment", "moderator", "act", "created_at"]
    raw_id_fields = ["comment", "moderator"]


@admin.register(Erasure)
class ErasureAdmin(admin.ModelAdmin[Erasure]):
    list_display = ["id", "classifications", "comments", "collections", "created_at"]
