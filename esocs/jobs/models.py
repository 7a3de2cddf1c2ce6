"""The ledger's rows. DESIGN §4: PostgreSQL is the ledger, Redis is the doorbell."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Job(models.Model):
    """One piece of background work, written in the same transaction as its cause."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    kind = models.CharField(max_length=64)
    key = models.CharField(max_length=200, help_text="What the work is about; unique within its kind.")
    group = models.CharField(max_length=120, blank=True, help_text="Jobs of one order, watched together.")
    queue = models.CharField(max_length=16)
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    run_after = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    rung_at = models.DateTimeField(null=True, help_text="When the doorbell was last rung for it.")
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="job_kind_key_unique"),
            models.CheckConstraint(
                condition=models.Q(state__in=["queued", "running", "done", "failed"]), name="job_state_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="running") | models.Q(lease_until__isnull=False, lease_token__isnull=False),
                name="job_running_has_lease",
            ),
        ]
        indexes = [
            models.Index(fields=["run_after"], condition=models.Q(state="queued"), name="job_due"),
            models.Index(fields=["lease_until"], condition=models.Q(state="running"), name="job_leased"),
            models.Index(fields=["group", "state"], name="job_group"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key} ({self.state})"


class PeriodicSlot(models.Model):
    """A claimed slot of a periodic job: whoever inserts the row runs it, however many beats tick."""

    name = models.CharField(max_length=64)
    slot = models.BigIntegerField(help_text="Seconds since 1970 divided by the period.")
    claimed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "slot"], name="periodic_slot_unique")]

    def __str__(self) -> str:
        return f"{self.name} #{self.slot}"
