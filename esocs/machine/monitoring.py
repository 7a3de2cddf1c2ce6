"""Drift: what a policy's model said about each ingest batch and observation night, counted from the routes.

Counted once a routing has ended, and again whenever the routes are more than were counted. The rows are replaced whole,
so counting twice changes nothing. How often the model was right is counted by the crowd room, which holds the labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from django.db import connection
from django.db.models.functions import Now

from classifier.calibration import RELIABILITY_BINS
from classifier.drift import SCORE_BINS, Counts, score_edges
from esocs.jobs.models import Job
from esocs.jobs.services import enqueue
from esocs.machine.models import DriftCount, DriftReference, ReservedSubject, Route, RoutingPolicy

# The evening's date: at the observatories in Chile twelve hours before the UTC of any moment of the same night.
_COUNT = """
SELECT pr.batch_id, ((pr.observed_at AT TIME ZONE 'UTC') - interval '12 hours')::date AS night,
    CASE WHEN x.purpose IS NOT NULL THEN x.purpose WHEN t.id IS NOT NULL THEN 'learned' ELSE '' END AS role,
    width_bucket(r.score, %(edges)s::float8[]) AS bin,
    count(*), count(*) FILTER (WHERE r.ood_p < %(ood_p_min)s)
FROM machine_route r
JOIN machine_prediction p ON p.id = r.prediction_id
JOIN projects_subject s ON s.id = p.subject_id
LEFT JOIN archive_plane pl ON pl.id = s.plane_id
LEFT JOIN archive_product pr ON pr.id = pl.product_id
LEFT JOIN machine_reservedsubject x ON x.workflow_id = %(workflow)s AND x.subject_id = p.subject_id
LEFT JOIN (SELECT DISTINCT unnest(%(trained_on)s::bigint[]) AS id) t ON t.id = p.subject_id
WHERE r.policy_id = %(policy)s
GROUP BY 1, 2, 3, 4
"""


@dataclass(kw_only=True)
class Tally:
    """Subjects of one batch and night while they are added up."""

    subjects: int = 0
    learned_from: int = 0
    out_of_distribution: int = 0
    scores: Counts = field(default_factory=lambda: np.zeros(SCORE_BINS, dtype=np.int64))

    def add(self, *, score_bin: int, subjects: int, out_of_distribution: int) -> None:
        self.subjects += subjects
        self.out_of_distribution += out_of_distribution
        self.scores[score_bin] += subjects


def order_count(policy_id: int, *, besides: int = 0) -> None:
    """Have a policy's routes counted if nothing of it is being routed any more; the last of a routing's jobs does.

    Two last ones may each take the other for unfinished: the periodic job finds what was left.

    Args:
        policy_id: whose routes.
        besides: the job that asks, which is nearly done itself.
    """
    group = f"route/{policy_id}"
    waiting = Job.objects.filter(kind="machine.route", group=group, state__in=[Job.State.QUEUED, Job.State.RUNNING])
    if not waiting.exclude(pk=besides).exists():
        key = f"policy/{policy_id}/after/{besides}"
        enqueue("machine.count_drift", key=key, payload={"policy_id": policy_id}, group=group)


def order_missing_counts(*, slot: str) -> None:
    """Order a count for each champion's newest policy that has other routes than were counted.

    Args:
        slot: of the periodic job: one order each.
    """
    newest = RoutingPolicy.objects.filter(model_version__state="champion").order_by("model_version", "-number")
    for policy in newest.distinct("model_version").select_related("drift_reference"):
        reference: DriftReference | None = getattr(policy, "drift_reference", None)
        counted = reference.routes_counted if reference else 0
        if Route.objects.filter(policy=policy).count() != counted:
            enqueue("machine.count_drift", key=f"policy/{policy.pk}/{slot}", payload={"policy_id": policy.pk})


def count_drift(policy: RoutingPolicy) -> Callable[[], None]:
    """Count a policy's routes by ingest batch and night; the returned effect replaces the rows.

    The calibration sample becomes the reference. The seed and whatever else the model was trained on are left out.
    """
    reference, cells = Tally(), dict[tuple[int | None, date | None], Tally]()
    routes = 0
    for batch_id, night, role, score_bin, subjects, out in _read_counts(policy):
        routes += subjects
        if role == ReservedSubject.Purpose.CALIBRATION:
            reference.add(score_bin=score_bin, subjects=subjects, out_of_distribution=out)
        elif role == "":
            cell = cells.setdefault((batch_id, night), Tally())
            cell.add(score_bin=score_bin, subjects=subjects, out_of_distribution=out)
        elif role == "learned":
            cells.setdefault((batch_id, night), Tally()).learned_from += subjects
    rows = [
        DriftCount(
            policy=policy,
            batch_id=batch_id,
            night=night,
            subjects=cell.subjects,
            learned_from=cell.learned_from,
            out_of_distribution=cell.out_of_distribution,
            score_counts=cell.scores.tolist(),
        )
        for (batch_id, night), cell in cells.items()
    ]

    def write() -> None:
        # One at a time: the rows of two counts must not mix.
        RoutingPolicy.objects.select_for_update(no_key=True).get(pk=policy.pk)
        DriftCount.objects.filter(policy=policy).delete()
        DriftCount.objects.bulk_create(rows, batch_size=1000)
        DriftReference.objects.update_or_create(
            policy=policy,
            defaults={
                "routes_counted": routes,
                "subjects": reference.subjects,
                "out_of_distribution": reference.out_of_distribution,
                "score_counts": reference.scores.tolist(),
                "counted_at": Now(),
            },
        )

    return write


def _read_counts(policy: RoutingPolicy) -> list[tuple[Any, ...]]:
    model = policy.model_version
    parameters = {
        "edges": score_edges().tolist(),
        "ood_p_min": policy.ood_p_min,
        "workflow": model.workflow_id,
        "trained_on": model.card.get("trained_on", []),
        "policy": policy.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, parameters)
        return list(cursor.fetchall())


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Counts over the bins of the calibrated probability, of one kind of label.

    Attributes:
        source: of `ReliabilityCount.Source`.
        subjects: (B,) in each bin.
        right: (B,) of them, those whose label is the machine's answer.
        probability_sums: (B,) their calibrated probabilities, added up.
    """

    source: str
    subjects: Counts
    right: Counts
    probability_sums: np.ndarray


def read_reliability(policy: RoutingPolicy) -> dict[str, Reliability]:
    """Each source's counts over all ingest batches; sources without a label are left out."""
    summed: dict[str, Reliability] = {}
    for row in policy.reliability_counts.order_by("source", "batch_id"):
        before = summed.get(row.source) or _no_labels(row.source)
        summed[row.source] = Reliability(
            source=row.source,
            subjects=before.subjects + np.array(row.subjects, dtype=np.int64),
            right=before.right + np.array(row.right, dtype=np.int64),
            probability_sums=before.probability_sums + np.array(row.probability_sums),
        )
    return summed


def _no_labels(source: str) -> Reliability:
    empty = np.zeros(RELIABILITY_BINS, dtype=np.int64)
    return Reliability(source=source, subjects=empty, right=empty, probability_sums=np.zeros(RELIABILITY_BINS))
