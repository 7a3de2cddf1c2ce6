"""The operator's view of the ledger: what waits, what failed and why, and the button that tries again."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from esocs.jobs import services
from esocs.jobs.models import Job, PeriodicSlot


@admin.register(Job)
class JobAdmin(admin.ModelAdmin[Job]):
    list_display = [
        "kind",
        "key",
        "queue",
        "state",
        "attempts",
        "created_at",
        "finished_at",
        "first_error_line",
    ]
    list_filter = ["state", "kind", "queue"]
    search_fields = ["key", "last_error"]
    actions = ["retry"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    @admin.display(description="error")
    def first_error_line(self, job: Job) -> str:
        return job.last_error.partition("\n")[0]

    @admin.action(description="Retry failed jobs", permissions=["view"])
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        count = services.retry_failed(jobs)
        messages.info(request, f"{count} jobs will be tried again.")


admin.site.register(PeriodicSlot)
