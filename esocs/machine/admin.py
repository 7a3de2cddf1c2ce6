"""Model versions and routing policies, for operators."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from esocs.machine.models import ModelVersion, ReservedSubject, Route, RoutingPolicy, Threshold


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin[ModelVersion]):
    list_display = ["workflow", "number", "state", "temperature", "created_at"]
    list_filter = ["state", "workflow"]


class ThresholdInline(admin.TabularInline[Threshold, RoutingPolicy]):
    model = Threshold
    readonly_fields = [
        "number", "strata", "answer", "alpha", "delta", "value", "sample_size", "accepted", "errors",
    ]  # fmt: skip
    exclude = ["steps"]
    extra = 0
    can_delete = False

    def has_add_permission(self, *_: Any) -> bool:
        return False


@admin.register(RoutingPolicy)
class RoutingPolicyAdmin(admin.ModelAdmin[RoutingPolicy]):
    """Read only: a policy is certified by `manage.py route` and withdrawn by the alarm or `manage.py withdraw`."""

    list_display = [
        "model_version", "number", "state", "alpha", "delta", "stratify_by", "calibrated_on", "created_at",
        "withdrawn_at", "withdrawn_because",
    ]  # fmt: skip
    list_filter = ["state"]
    inlines = [ThresholdInline]

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False


@admin.register(Route)
class RouteAdmin(admin.ModelAdmin[Route]):
    list_display = ["prediction", "decision", "reason", "acceptable", "score", "ood_p"]
    list_filter = ["decision", "reason"]
    raw_id_fields = ["prediction", "policy", "threshold"]


@admin.register(ReservedSubject)
class ReservedSubjectAdmin(admin.ModelAdmin[ReservedSubject]):
    list_display = ["workflow", "subject", "purpose"]
    list_filter = ["purpose", "workflow"]
    raw_id_fields = ["subject"]
