"""Predictions: shards through the network into rows, one job a shard. No picture is made here.

Torch is imported only inside the functions that run a network: those run in a gpu worker, never in the web process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from django.db.models import Count

from classifier.shards import open_shard
from esocs.archive.models import Shard
from esocs.jobs.services import enqueue, enqueue_many
from esocs.machine.copying import copy_predictions
from esocs.machine.models import ModelVersion
from esocs.machine.queries import list_unpredicted
from esocs.machine.services import check_labels
from esocs.machine.similar import has_index
from esocs.projects.models import Subject
from esocs.projects.services import subjects_of

if TYPE_CHECKING:
    from classifier.inference import Predictions, Predictor

# Rows held in memory before they are written: 8,192 of 128 numbers are 4 MiB.
ROWS_HELD = 8192

_predictors: dict[int, Predictor] = {}


def open_predictor(model: ModelVersion) -> Predictor:
    """The model's network, loaded once a process. A worker keeps the last one it used.

    Raises:
        WeightsLabelsError: the workflow's answers have changed since, or the file's are others.
    """
    import torch

    from classifier.data import Question
    from classifier.inference import Predictor

    check_labels(model.workflow, model.class_names)
    if model.pk not in _predictors:
        if settings.TORCH_THREADS:
            torch.set_num_threads(settings.TORCH_THREADS)
        questions = [Question(name=model.workflow.first_task, answers=tuple(model.class_names))]
        weights = [(settings.WEIGHTS_ROOT / model.weights_path, model.weights_sha256)]
        # Where the compiler keeps what the next process and the next version of the model need not wait for.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(settings.VAR / "compiled"))
        _predictors.clear()
        device = None if settings.TORCH_DEVICE == "auto" else settings.TORCH_DEVICE
        _predictors[model.pk] = Predictor.open(
            weights,
            questions=questions,
            views=model.card.get("views", 1),
            device=device,
            compiled=settings.TORCH_COMPILE,
        )
    return _predictors[model.pk]


def order_predictions(model: ModelVersion) -> list[int]:
    """Order predictions for every subject of the workflow, one job a shard. Returns the jobs' ids."""
    shards = (
        subjects_of(model.workflow)
        .filter(plane__isnull=False)
        .values("plane__shard_id")
        .annotate(subjects=Count("id"))
        .order_by("plane__shard_id")
        .values_list("plane__shard_id", "subjects")
    )
    # What was ingested since the last order makes another job: the key holds how many subjects the shard has.
    items = [
        (f"model/{model.pk}/shard/{shard_id}/{count}", {"model_version_id": model.pk, "shard_id": shard_id})
        for shard_id, count in shards
    ]
    if not items:
        return []
    jobs = enqueue_many("machine.predict", items=items, group=f"classify/{model.pk}")
    if has_index(model.pk):
        # Of a large order each row would cost an insertion into the index: it makes way at once.
        enqueue("machine.tend_indexes", key=f"model/{model.pk}/before/{max(jobs)}")
    return jobs


def predict_shard(
    *, model: ModelVersion, shard: Shard, report_progress: Callable[[int, int], None] | None = None
) -> Callable[[], None]:
    """Predict those subjects of the workflow in one shard that this model has not; the effect writes the rows."""
    subjects = list_unpredicted(model=model, shard=shard)
    return predict_subjects(model=model, shard=shard, subjects=subjects, report_progress=report_progress)


def predict_subjects(
    *,
    model: ModelVersion,
    shard: Shard,
    subjects: dict[int, int],
    report_progress: Callable[[int, int], None] | None = None,
) -> Callable[[], None]:
    """Predict chosen planes of a shard: shard index → subject id. The returned effect writes the rows.

    Of a large shard all but the last rows are written on the way, so that memory stays flat; the next attempt of a job
    that is cut off there goes on behind them.

    Raises:
        DamagedShardError, DeviceMemoryError, DeviceLostError, DeviceMissingError, and what opening weights raises.
    """
    if not subjects:
        return lambda: None
    indices = np.array(sorted(subjects), dtype=np.int64)
    subject_ids = np.array([subjects[index] for index in indices.tolist()], dtype=np.int64)
    planes = open_shard(settings.SHARD_ROOT / shard.path)
    # A whole shard is read in its own order, without a list of rows.
    rows = None if len(indices) == len(planes) else indices
    task, written = model.workflow.first_task, 0
    waiting: list[Predictions] = []

    def write() -> None:
        copy_predictions(
            model_version_id=model.pk,
            subject_ids=subject_ids[written : written + sum(map(len, waiting))],
            probabilities=np.concatenate([part.probabilities[task] for part in waiting]),
            embeddings=np.concatenate([part.embeddings for part in waiting]),
            strangeness=np.concatenate([part.strangeness for part in waiting]),
        )

    for position, part in open_predictor(model).predict_batches(planes, rows=rows):
        if position - written >= ROWS_HELD:
            write()
            written, waiting = position, []
        waiting.append(part)
        if report_progress is not None:
            report_progress(position + len(part), len(indices))
    return write


def subject_planes(subject_ids: list[int]) -> list[tuple[Shard, dict[int, int]]]:
    """The shards that hold the subjects' planes, each with shard index → subject id."""
    by_shard: dict[Shard, dict[int, int]] = {}
    for subject in Subject.objects.filter(pk__in=subject_ids, plane__isnull=False).select_related("plane__shard"):
        assert subject.plane is not None
        by_shard.setdefault(subject.plane.shard, {})[subject.plane.shard_index] = subject.pk
    return list(by_shard.items())
