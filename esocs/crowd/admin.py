"""Classifications, statuses, skill and gold, for operators. Rows are looked at here, never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from esocs.crowd.models import (
    CaesarWorkflow,
    Classification,
    Consensus,
    ExtractImport,
    Extractor,
    GoldStandard,
    Publication,
    Reducer,
    RetirementSetting,
    Skill,
    SkillEpoch,
    StatusChange,
    SubjectRule,
    SubjectStatus,
    TaskSummary,
    UserRule,
)


class ReadOnlyAdmin(admin.ModelAdmin[models.Model]):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Classification)
class ClassificationAdmin(ReadOnlyAdmin):
    list_display = ["id", "workflow", "subject", "volunteer", "counted", "gold_standard", "created_at"]
    list_filter = ["workflow", "counted", "gold_standard"]


@admin.register(SubjectStatus)
class SubjectStatusAdmin(ReadOnlyAdmin):
    list_display = ["subject", "workflow", "audience", "state", "classifications_count", "retirement_reason"]
    list_filter = ["workflow", "audience", "state", "retirement_reason"]


@admin.register(Consensus)
class ConsensusAdmin(ReadOnlyAdmin):
    list_display = ["status", "task_key", "answer", "probability", "majority", "flagged"]
    list_filter = ["flagged"]


@admin.register(Skill)
class SkillAdmin(ReadOnlyAdmin):
    list_display = ["volunteer", "epoch", "task_key", "skill_bits", "answers_fitted", "muted"]
    list_filter = ["muted"]


@admin.register(GoldStandard)
class GoldStandardAdmin(ReadOnlyAdmin):
    list_display = ["subject", "workflow", "task_key", "answer", "author", "created_at"]


admin.site.register(SkillEpoch, ReadOnlyAdmin)


@admin.register(StatusChange)
class StatusChangeAdmin(ReadOnlyAdmin):
    list_display = ["status", "before", "after", "cause", "reason", "probability", "author", "changed_at"]
    list_filter = ["cause", "after"]


@admin.register(SubjectRule)
class SubjectRuleAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "position", "template", "condition", "active"]
    list_filter = ["workflow", "active"]


@admin.register(CaesarWorkflow)
class CaesarWorkflowAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "status", "rules_applied", "public_extracts", "public_reductions"]
    list_filter = ["status"]


@admin.register(Extractor)
class ExtractorAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "key", "type", "task_key", "updated_at"]
    list_filter = ["workflow", "type"]


@admin.register(Reducer)
class ReducerAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "key", "type", "topic", "updated_at"]
    list_filter = ["workflow", "type"]


@admin.register(UserRule)
class UserRuleAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "position", "condition", "active"]
    list_filter = ["workflow", "active"]


@admin.register(ExtractImport)
class ExtractImportAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "url", "rows_read", "rows_kept", "created_at", "finished_at"]
    list_filter = ["workflow"]


@admin.register(RetirementSetting)
class RetirementSettingAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "criterion", "author", "created_at"]
    list_filter = ["workflow"]


@admin.register(TaskSummary)
class TaskSummaryAdmin(ReadOnlyAdmin):
    list_display = ["status", "task_key", "kind", "seen_by", "updated_at"]
    list_filter = ["kind"]


@admin.register(Publication)
class PublicationAdmin(ReadOnlyAdmin):
    list_display = ["subject", "workflow", "day", "votes"]
    list_filter = ["day", "workflow"]
