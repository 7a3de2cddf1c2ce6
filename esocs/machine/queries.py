"""Reads of the machine room: predictions as arrays, and what in distribution means for a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from django.db import connection
from django.db.models import Count

from classifier.calibration import out_of_distribution_p_values
from esocs.archive.models import Shard
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion, Prediction, ReservedSubject, Route, RoutingPolicy
from esocs.machine.rules import STRATA
from esocs.projects.models import Subject, Workflow


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

    def take(self, rows: np.ndarray) -> PredictionTable:
        """Some of the rows, or some more than once, in this order."""
        return PredictionTable(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def policy_in_force(workflow: Workflow) -> RoutingPolicy | None:
    """The policy that decides on the workflow's subjects: the champion's newest.

    A champion just promoted has none before its thresholds are certified. Until then the policy of the one before
    stays in force, as long as both give the same answers: what it accepted stays accepted, and is watched.
    """
    champion = ModelVersion.objects.filter(workflow=workflow, state=ModelVersion.State.CHAMPION).first()
    if champion is None:
        return None
    policies = RoutingPolicy.objects.select_related("model_version__workflow", "withdrawn_by").defer(
        "model_version__card"
    )
    own = policies.filter(model_version=champion).order_by("-number").first()
    if own is not None:
        return own
    before = ModelVersion.objects.filter(
        workflow=workflow, state=ModelVersion.State.RETIRED, class_names=champion.class_names
    )
    return policies.filter(model_version__in=before).order_by("-pk").first()


def list_policies_in_force() -> list[RoutingPolicy]:
    """Of every workflow that has one."""
    workflows = Workflow.objects.filter(model_versions__state=ModelVersion.State.CHAMPION).order_by("pk")
    return [policy for workflow in workflows if (policy := policy_in_force(workflow)) is not None]


def list_unpredicted(*, model: ModelVersion, shard: Shard) -> dict[int, int]:
    """The workflow's subjects in a shard of which the model has said nothing yet: shard index → subject id.

    Each table is asked through an index, subject by subject. As a plain join, a planner without statistics (tables are
    read before they are first analysed, in every campaign's first minutes) may walk everything in the workflow, or all
    that the model ever said, for every shard, which took a thousand subjects as long as the network. One with old
    statistics takes what a new model has said, or a new set holds, for nothing and would walk it for each subject: a
    sum is in no index, so only the subjects' is left.
    """
    sets = list(model.workflow.subject_sets.values_list("id", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT plane.shard_index, subject.id FROM archive_plane plane CROSS JOIN LATERAL"
            " (SELECT id FROM projects_subject WHERE plane_id = plane.id OFFSET 0) AS subject"
            " CROSS JOIN LATERAL (SELECT FROM projects_setmembersubject member WHERE member.subject_id = subject.id"
            " AND member.subject_set_id + 0 = ANY(%s) LIMIT 1) AS wanted"
            " LEFT JOIN LATERAL (SELECT 1 AS said FROM machine_prediction prediction WHERE prediction.subject_id"
            " = subject.id AND prediction.model_version_id + 0 = %s LIMIT 1) AS prediction ON TRUE"
            " WHERE plane.shard_id = %s AND prediction.said IS NULL",
            [sets, model.pk, shard.pk],
        )
        return dict(cursor.fetchall())


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
    """Predictions of other subjects than these, as a random sample of the archive would have them; at most `most`.

    A model is too sure of what it was trained on, and what active learning left over is too easy. So those of the
    training set that were held out of the training stand for all of it, as often as it is larger than they are many.
    """
    left_out, trained_on = set(leave_out.tolist()), set(model.card.get("trained_on", []))
    held_out = set(model.card.get("held_out", [])) - left_out
    rows = Prediction.objects.filter(model_version=model).order_by("id").values_list("subject_id", flat=True)
    others = np.array([pk for pk in rows if pk not in left_out and (pk not in trained_on or pk in held_out)], np.int64)
    stands_for = np.where(np.isin(others, list(held_out)), len(trained_on) / max(1, len(held_out)), 1.0)
    if len(others) > most:
        dice = np.random.default_rng(model.pk)
        chosen = dice.choice(len(others), most, replace=False, p=stands_for / stands_for.sum())
        others, stands_for = others[chosen], np.ones(most)
    table = read_predictions(model, subject_ids=others.tolist())
    times = dict(zip(others.tolist(), np.rint(stands_for).astype(int).tolist(), strict=True))
    return table.take(np.repeat(np.arange(len(table.ids)), [times[int(pk)] for pk in table.subject_ids]))


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
