"""How often the machine is right, by what people said: counted for each ingest batch and kind of label.

The labels are this room's (experts' gold, the blind audit, settled consensus), the rows the machine room's, whose
newest policy they are about. They are replaced whole, so counting twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from django.db import connection
from django.db.models import Max

from classifier.calibration import RELIABILITY_BINS
from esocs.crowd.models import Classification, GoldStandard, SkillEpoch
from esocs.jobs.services import enqueue
from esocs.machine.models import ReliabilityCount, RoutingPolicy
from esocs.machine.queries import list_policies_in_force

# A subject has one label: an expert's before the volunteers'. What the model was trained on says nothing of it.
_COUNT = """
SELECT x.batch_id, x.source, width_bucket(x.probability, %(edges)s::float8[]) AS bin,
    count(*), count(*) FILTER (WHERE x.label = x.answer), sum(x.probability)
FROM (
    SELECT pr.batch_id, r.probability, r.answer,
        CASE WHEN g.answer IS NOT NULL AND rs.purpose = 'calibration' THEN 'calibration'
            WHEN st.blind AND st.audience = 'volunteers' THEN 'audit'
            WHEN g.answer IS NOT NULL THEN 'gold'
            ELSE 'consensus' END AS source,
        coalesce(g.answer, CASE WHEN st.state = 'retired' AND st.retirement_reason = 'consensus'
            THEN st.retired_answer END) AS label
    FROM (
        SELECT subject_id FROM crowd_goldstandard WHERE workflow_id = %(workflow)s AND task_key = %(task)s
        UNION
        SELECT subject_id FROM crowd_subjectstatus WHERE workflow_id = %(workflow)s AND state = 'retired'
            AND retirement_reason = 'consensus'
    ) labelled
    JOIN machine_prediction p ON p.subject_id = labelled.subject_id AND p.model_version_id = %(model)s
    JOIN machine_route r ON r.prediction_id = p.id AND r.policy_id = %(policy)s
    JOIN projects_subject s ON s.id = p.subject_id
    LEFT JOIN archive_plane pl ON pl.id = s.plane_id
    LEFT JOIN archive_product pr ON pr.id = pl.product_id
    LEFT JOIN machine_reservedsubject rs ON rs.workflow_id = %(workflow)s AND rs.subject_id = p.subject_id
    LEFT JOIN crowd_goldstandard g
        ON g.workflow_id = %(workflow)s AND g.subject_id = p.subject_id AND g.task_key = %(task)s
    LEFT JOIN crowd_subjectstatus st ON st.workflow_id = %(workflow)s AND st.subject_id = p.subject_id
    WHERE p.subject_id <> ALL(%(trained_on)s::bigint[])
) x
WHERE x.label IS NOT NULL
GROUP BY 1, 2, 3
"""


def order_reliability() -> None:
    """Order a count for each policy in force whose workflow has other labels than at the last one.

    The key names the newest classification, gold and skill epoch: the ledger refuses what was counted before.
    """
    for policy in list_policies_in_force():
        workflow_id = policy.model_version.workflow_id
        known = (
            Classification.objects.filter(workflow_id=workflow_id).aggregate(last=Max("id"))["last"],
            GoldStandard.objects.filter(workflow_id=workflow_id).aggregate(last=Max("id"))["last"],
            SkillEpoch.objects.filter(workflow_id=workflow_id, current=True).aggregate(last=Max("number"))["last"],
        )
        key = f"policy/{policy.pk}/labels/{'/'.join(str(value or 0) for value in known)}"
        enqueue("crowd.measure_reliability", key=key, payload={"policy_id": policy.pk})


def measure_reliability(policy: RoutingPolicy) -> Callable[[], None]:
    """Count how often a policy's model was right; the returned effect replaces the rows."""
    model = policy.model_version
    parameters = {
        "edges": np.linspace(0, 1, RELIABILITY_BINS + 1)[1:-1].tolist(),
        "workflow": model.workflow_id,
        "task": model.workflow.first_task,
        "model": model.pk,
        "policy": policy.pk,
        "trained_on": model.card.get("trained_on", []),
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, parameters)
        counted = list(cursor.fetchall())
    rows: dict[tuple[int | None, str], ReliabilityCount] = {}
    for batch_id, source, place, subjects, right, probability in counted:
        row = rows.setdefault((batch_id, source), _empty_row(policy, batch_id, source))
        row.subjects[place] = subjects
        row.right[place] = right
        row.probability_sums[place] = probability

    def write() -> None:
        # One at a time: the rows of two counts must not mix.
        RoutingPolicy.objects.select_for_update(no_key=True).get(pk=policy.pk)
        ReliabilityCount.objects.filter(policy=policy).delete()
        ReliabilityCount.objects.bulk_create(rows.values(), batch_size=1000)

    return write


def _empty_row(policy: RoutingPolicy, batch_id: int | None, source: str) -> ReliabilityCount:
    zeros = [0] * RELIABILITY_BINS
    return ReliabilityCount(
        policy=policy,
        batch_id=batch_id,
        source=source,
        subjects=zeros.copy(),
        right=zeros.copy(),
        probability_sums=[0.0] * RELIABILITY_BINS,
    )
