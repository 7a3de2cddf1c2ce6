"""Predictions: shards through the network into rows, one job a shard. No picture is made here.

Torch is imported only inside the functions that run a network: those run in a gpu worker, never in the web process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings

from classifier.shards import open_shard
from esocs.archive.models import Shard
from esocs.jobs.services import enqueue_many
from esocs.machine.models import ModelVersion, Prediction
from esocs.projects.models import Subject
from esocs.projects.services import subjects_of

if TYPE_CHECKING:
    from classifier.inference import Predictor

_predictors: dict[int, Predictor] = {}


def open_predictor(model: ModelVersion) -> Predictor:
    """The model's network, loaded once a process. A worker keeps the last one it used."""
    import torch

    from classifier.data import Question
    from classifier.inference import Predictor

    if model.pk not in _predictors:
        if settings.TORCH_THREADS:
            torch.set_num_threads(settings.TORCH_THREADS)
        questions = [Question(name=model.workflow.first_task, answers=tuple(model.class_names))]
        weights = [(settings.WEIGHTS_ROOT / model.weights_path, model.weights_sha256)]
        _predictors.clear()
        _predictors[model.pk] = Predictor.open(weights, questions=questions, views=model.card.get("views", 1))
    return _predictors[model.pk]


def order_predictions(model: ModelVersion) -> list[int]:
    """Order predictions for every subject of the workflow, one job a shard. Returns the jobs' ids."""
    shards = (
        Shard.objects.filter(planes__subjects__in=subjects_of(model.workflow))
        .distinct()
        .order_by("id")
        .values_list("id")
    )
    # What was ingested since the last order makes another job: the key holds how many subjects the shard has.
    items = []
    for (shard_id,) in shards:
        count = subjects_of(model.workflow).filter(plane__shard_id=shard_id).count()
        items.append(
            (f"model/{model.pk}/shard/{shard_id}/{count}", {"model_version_id": model.pk, "shard_id": shard_id})
        )
    return enqueue_many("machine.predict", items=items, group=f"classify/{model.pk}") if items else []


def predict_shard(*, model: ModelVersion, shard: Shard) -> Callable[[], None]:
    """Predict the workflow's subjects of one shard; the returned effect writes the rows. No picture is made here."""
    subjects = (
        subjects_of(model.workflow)
        .filter(plane__shard=shard)
        .exclude(pk__in=Prediction.objects.filter(model_version=model).values("subject_id"))
    )
    return predict_subjects(model=model, shard=shard, subjects=dict(subjects.values_list("plane__shard_index", "id")))


def predict_subjects(*, model: ModelVersion, shard: Shard, subjects: dict[int, int]) -> Callable[[], None]:
    """Predict chosen planes of a shard: shard index → subject id. The returned effect writes the rows."""
    indices = np.array(sorted(subjects), dtype=np.int64)
    rows: list[Prediction] = []
    if len(indices):
        planes = open_shard(settings.SHARD_ROOT / shard.path)
        # A whole shard is read in its own order; a few planes are gathered first.
        chosen = planes if len(indices) == len(planes) else planes[indices]
        predictions = open_predictor(model).predict(chosen)
        probabilities = predictions.probabilities[model.workflow.first_task]
        rows = [
            Prediction(
                subject_id=subjects[int(index)],
                model_version=model,
                probabilities=probabilities[i].tolist(),
                embedding=predictions.embeddings[i].tolist(),
            )
            for i, index in enumerate(indices)
        ]

    def write() -> None:
        Prediction.objects.bulk_create(rows, ignore_conflicts=True, batch_size=2000)

    return write


def subject_planes(subject_ids: list[int]) -> list[tuple[Shard, dict[int, int]]]:
    """The shards that hold the subjects' planes, each with shard index → subject id."""
    by_shard: dict[Shard, dict[int, int]] = {}
    for subject in Subject.objects.filter(pk__in=subject_ids, plane__isnull=False).select_related("plane__shard"):
        assert subject.plane is not None
        by_shard.setdefault(subject.plane.shard, {})[subject.plane.shard_index] = subject.pk
    return list(by_shard.items())
