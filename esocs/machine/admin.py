"""Model versions and routing policies, for operators."""

from __future__ import annotations

from django.contrib import admin

from esocs.machine.models import ModelVersion, ReservedSubject, Route, RoutingPolicy


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin[ModelVersion]):
    list_display = ["workflow", "number", "state", "temperature", "created_at"]
    list_filter = ["state", "workflow"]


@admin.register(RoutingPolicy)
class RoutingPolicyAdmin(admin.ModelAdmin[RoutingPolicy]):
    list_display = ["model_version", "number", "state", "alpha", "delta", "threshold", "calibrated_on", "created_at"]


@admin.register(Route)
class RouteAdmin(admin.ModelAdmin[Route]):
    list_display = ["prediction", "decision", "reason", "score", "ood_p"]
    list_filter = ["decision", "reason"]
    raw_id_fields = ["prediction", "policy"]


@admin.register(ReservedSubject)
class ReservedSubjectAdmin(admin.ModelAdmin[ReservedSubject]):
    list_display = ["workflow", "subject", "purpose"]
    list_filter = ["purpose", "workflow"]
    raw_id_fields = ["subject"]
