"""Writes of the machine room: reserved samples, model versions and which of them is the champion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Max

from classifier.errors import EsocsError
from classifier.weights import WeightsLabelsError
from esocs.machine.models import ModelVersion, ReservedSubject
from esocs.projects.models import Workflow
from esocs.projects.rules import answer_labels
from esocs.projects.services import subjects_of


class NoChampionError(EsocsError):
    """The workflow has no model yet."""

    code = "no_champion"
    status = 409


class TooFewSubjectsError(EsocsError):
    """The workflow has fewer subjects than are to be reserved."""

    code = "too_few_subjects"
    status = 422


@transaction.atomic
def reserve_samples(*, workflow: Workflow, seed: int, calibration: int, random_seed: int = 0) -> dict[str, list[int]]:
    """Set aside uniformly random samples before active learning takes anything. Done once for a workflow.

    Args:
        workflow: whose subjects.
        seed: how many for the first training set.
        calibration: how many for calibration, blind and never trained on.
        random_seed: of the draw.

    Returns:
        Purpose → subject ids; those of the first call if there was one.

    Raises:
        TooFewSubjectsError: the workflow does not have that many.
    """
    Workflow.objects.select_for_update().get(pk=workflow.pk)
    reserved = ReservedSubject.objects.filter(workflow=workflow)
    if not reserved.exists():
        ids = np.array(list(subjects_of(workflow).order_by("id").values_list("id", flat=True)), dtype=np.int64)
        if len(ids) < seed + calibration:
            raise TooFewSubjectsError(
                f"{workflow} has {len(ids)} subjects; {seed + calibration} are to be reserved.",
                hint="Ingest more files, or reserve fewer.",
            )
        drawn = np.random.default_rng(random_seed).permutation(ids)[: seed + calibration].tolist()
        purposes = [ReservedSubject.Purpose.SEED] * seed + [ReservedSubject.Purpose.CALIBRATION] * calibration
        ReservedSubject.objects.bulk_create(
            [
                ReservedSubject(workflow=workflow, subject_id=pk, purpose=purpose)
                for pk, purpose in zip(drawn, purposes, strict=True)
            ],
            batch_size=2000,
        )
    by_purpose: dict[str, list[int]] = {purpose: [] for purpose in ReservedSubject.Purpose.values}
    for purpose, subject_id in reserved.order_by("id").values_list("purpose", "subject_id"):
        by_purpose[purpose].append(subject_id)
    return by_purpose


@transaction.atomic
def register_model(
    *,
    workflow: Workflow,
    weights_path: Path,
    weights_sha256: str,
    class_names: list[str],
    training_prior: list[float],
    card: dict[str, Any],
) -> ModelVersion:
    """Enter a trained network as the workflow's next candidate.

    Raises:
        WeightsLabelsError: its answers are not the workflow's.
    """
    workflow = Workflow.objects.select_for_update().get(pk=workflow.pk)
    check_labels(workflow, class_names)
    last = ModelVersion.objects.filter(workflow=workflow).aggregate(last=Max("number"))["last"] or 0
    return ModelVersion.objects.create(
        workflow=workflow,
        number=last + 1,
        class_names=class_names,
        weights_path=str(weights_path.relative_to(settings.WEIGHTS_ROOT)),
        weights_sha256=weights_sha256,
        training_prior=training_prior,
        card=card,
    )


@transaction.atomic
def promote(model: ModelVersion) -> None:
    """Make a model version the champion; the one before is retired. Also the way back: promote the older one.

    Raises:
        WeightsLabelsError: the workflow's answers have changed since the model was trained.
    """
    workflow = Workflow.objects.select_for_update().get(pk=model.workflow_id)
    check_labels(workflow, model.class_names)
    champions = ModelVersion.objects.filter(workflow=model.workflow_id, state=ModelVersion.State.CHAMPION)
    champions.exclude(pk=model.pk).update(state=ModelVersion.State.RETIRED)
    ModelVersion.objects.filter(pk=model.pk).update(state=ModelVersion.State.CHAMPION)


def check_labels(workflow: Workflow, class_names: Sequence[str]) -> None:
    """Refuse a model whose answers are not the workflow's, in its order: its third would be taken for another third.

    Raises:
        WeightsLabelsError: they differ.
    """
    asked = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    if list(class_names) != asked:
        raise WeightsLabelsError(
            f"The model answers {', '.join(class_names)}; {workflow} asks for {', '.join(asked)}.",
            hint="Train a model for the workflow as it is now: `manage.py retrain`.",
        )


def get_champion(workflow: Workflow) -> ModelVersion:
    """The workflow's champion.

    Raises:
        NoChampionError: it has none yet.
    """
    champion = ModelVersion.objects.filter(workflow=workflow, state=ModelVersion.State.CHAMPION).first()
    if champion is None:
        raise NoChampionError(f"{workflow} has no model yet.", hint="Run `manage.py retrain` after experts labelled.")
    return champion
