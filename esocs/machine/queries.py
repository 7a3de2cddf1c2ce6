"""Reads of the machine room: predictions as arrays, and what in distribution means for a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import Count

from classifier.calibration import out_of_distribution_p_values
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion, Prediction, ReservedSubject, Route, RoutingPolicy
from esocs.machine.rules import STRATA
from esocs.projects.models import Subject


@dataclass(frozen=True, kw_only=True)
class PredictionTable:
    """N predictions of one model version.

    Attributes:
        ids: (N,) of the rows.
        subject_ids: (N,).
        probabilities: (N, K) mean softmax before temperature.
        embeddings: (N, D) of length one.
        strangeness: (N,) log odds that it is none of what the model knows; NaN where that was not measured.
        usable: (N,) whether the plane's quality flags pass.
    """

    ids: np.ndarray
    subject_ids: np.ndarray
    probabilities: np.ndarray
    embeddings: np.ndarray
    strangeness: np.ndarray
    usable: np.ndarray


def read_predictions(
    model: ModelVersion, *, subject_ids: list[int] | None = None, id_range: tuple[int, int] | None = None
) -> PredictionTable:
    """Predictions of a model, of chosen subjects or a range of row ids, in the order of their ids."""
    rows = Prediction.objects.filter(model_version=model).order_by("id")
    if subject_ids is not None:
        rows = rows.filter(subject_id__in=subject_ids)
    if id_range is not None:
        rows = rows.filter(id__range=id_range)
    columns = ("id", "subject_id", "probabilities", "embedding", "strangeness", "subject__plane__usable")
    values = list(rows.values_list(*columns))
    K = len(model.class_names)
    return PredictionTable(
        ids=np.array([v[0] for v in values], dtype=np.int64),
        subject_ids=np.array([v[1] for v in values], dtype=np.int64),
        probabilities=np.array([v[2] for v in values], dtype=np.float64).reshape(-1, K),
        embeddings=_unit(np.array([v[3] for v in values], dtype=np.float32)),
        strangeness=np.array([v[4] for v in values], dtype=np.float64),
        usable=np.array([v[5] is not False for v in values], dtype=bool),
    )


def _unit(embeddings: np.ndarray) -> np.ndarray:
    """Half-precision storage bends lengths a little; distances are taken on the unit sphere."""
    embeddings = embeddings.reshape(-1, EMBEDDING_DIMENSIONS)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(lengths, 1e-12), dtype=np.float32)


def read_pool(model: ModelVersion, *, leave_out: np.ndarray, most: int = 20_000) -> PredictionTable:
    """Predictions of other subjects than these and than those trained on: a random sample of at most `most`."""
    left_out = {*leave_out.tolist(), *model.card.get("trained_on", [])}
    rows = Prediction.objects.filter(model_version=model).order_by("id").values_list("subject_id", flat=True)
    others = np.array([pk for pk in rows if pk not in left_out], dtype=np.int64)
    if len(others) > most:
        others = np.random.default_rng(model.pk).choice(others, most, replace=False)
    return read_predictions(model, subject_ids=others.tolist())


def acceptance_scores(model: ModelVersion, table: PredictionTable, *, ood_p_min: float) -> np.ndarray:
    """(N,) mean softmax of the predicted answer; -1 where other rules would never accept it anyway."""
    allowed = (in_distribution(model, table) >= ood_p_min) & table.usable
    return np.where(allowed, table.probabilities.max(axis=1, initial=0.0), -1.0)


def read_strata(subject_ids: Sequence[int], *, stratify_by: str) -> list[str]:
    """Each subject's stratum: a value of its product (`rules.STRATA`); all the same where nothing divides them."""
    if not stratify_by:
        return [""] * len(subject_ids)
    column = f"plane__product__{STRATA[stratify_by]}"
    found = dict(Subject.objects.filter(pk__in=subject_ids).values_list("pk", column))
    return [found.get(pk) or "" for pk in subject_ids]


def in_distribution(model: ModelVersion, table: PredictionTable) -> np.ndarray:
    """(N,) p-values of being like what the model knows, from the strangeness of known subjects on its card."""
    return out_of_distribution_p_values(table.strangeness, model.card.get("known_strangeness", []))


def count_routes(policy: RoutingPolicy) -> dict[str, int]:
    """How many subjects a policy sent where."""
    rows = Route.objects.filter(policy=policy).values_list("decision").annotate(n=Count("id")).order_by()
    return dict(rows)


def list_reserved(workflow_id: int, purpose: str) -> list[int]:
    """The subjects set aside for a purpose."""
    rows = ReservedSubject.objects.filter(workflow_id=workflow_id, purpose=purpose)
    return list(rows.order_by("id").values_list("subject_id", flat=True))
