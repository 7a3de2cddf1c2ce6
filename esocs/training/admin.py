"""Training sets, runs and verdicts, for operators."""

from __future__ import annotations

from django.contrib import admin

from esocs.training.models import Comparison, TrainingRun, TrainingSet


@admin.register(TrainingSet)
class TrainingSetAdmin(admin.ModelAdmin[TrainingSet]):
    list_display = ["workflow", "manifest_sha256", "created_at"]


@admin.register(TrainingRun)
class TrainingRunAdmin(admin.ModelAdmin[TrainingRun]):
    list_display = ["id", "training_set", "model_version", "seconds", "finished_at"]


@admin.register(Comparison)
class ComparisonAdmin(admin.ModelAdmin[Comparison]):
    list_display = ["challenger", "champion", "verdict", "reason", "challenger_errors", "champion_errors"]
