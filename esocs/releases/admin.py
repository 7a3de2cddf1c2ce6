"""Exports, for operators: what was ordered, by whom, and what came of it."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from esocs.releases import queries
from esocs.releases.models import Export


@admin.register(Export)
class ExportAdmin(admin.ModelAdmin[Export]):
    list_display = ["kind", "project", "workflow", "state", "row_count", "as_of", "requested_by", "failure"]
    list_filter = ["kind", "state"]
    list_select_related = ["project", "workflow", "requested_by"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Export | None = None) -> bool:
        return False

    @admin.display(description="error")
    def failure(self, export: Export) -> str:
        return queries.find_failure(export)
