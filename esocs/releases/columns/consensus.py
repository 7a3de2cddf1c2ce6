"""The consensus export, for scientists: what each subject was found to be, by whom, and how sure.

`crowd.Consensus`, `crowd.GoldStandard` and `machine.Route` are the sources of truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from esocs.crowd.models import SubjectStatus
from esocs.projects.models import Workflow
from esocs.projects.rules import answer_labels
from esocs.releases.rules import column_names
from esocs.releases.scope import Scope, boolean, stream, time_text

BEFORE_VOTES = (
    "subject_id",
    "dp_id",
    "ra",
    "dec",
    "workflow_id",
    "workflow_name",
    "task",
    "answer",
    "probability",
    "source",
    "votes",
)
AFTER_VOTES = (
    "majority",
    "flagged",
    "machine_answer",
    "machine_probability",
    "model_version",
    "route",
    "state",
    "retired_at",
    "retirement_reason",
)

# Every subject that was published or routed: those the machine kept to itself are part of the catalogue too.
# The machine's columns are of the last route; `route` is the one by which the subject was published, if it was.
ROWS = """
WITH routed AS (
    SELECT DISTINCT ON (p.subject_id) p.subject_id, r.decision, r.answer, r.probability, m.number
    FROM machine_route r
    JOIN machine_prediction p ON p.id = r.prediction_id
    JOIN machine_modelversion m ON m.id = p.model_version_id
    WHERE m.workflow_id = %(workflow)s AND r.created_at <= %(as_of)s
    ORDER BY p.subject_id, r.id DESC
)
SELECT s.id, product.dp_id, COALESCE(plane.ra_deg, product.ra_deg), COALESCE(plane.dec_deg, product.dec_deg),
       COALESCE(c.task_key, g.task_key, %(first_task)s), c.answer, c.probability, c.answer_counts,
       c.majority, c.flagged, g.answer, routed.answer, routed.probability, routed.number,
       COALESCE(published.decision, routed.decision), st.state, st.retired_at AT TIME ZONE 'UTC', st.retirement_reason
FROM (SELECT * FROM crowd_subjectstatus WHERE workflow_id = %(workflow)s) st
FULL JOIN routed ON routed.subject_id = st.subject_id
JOIN projects_subject s ON s.id = COALESCE(st.subject_id, routed.subject_id)
LEFT JOIN machine_route published ON published.id = st.route_id
LEFT JOIN crowd_consensus c ON c.status_id = st.id
LEFT JOIN crowd_goldstandard g ON g.workflow_id = %(workflow)s AND g.subject_id = s.id
    AND g.task_key = COALESCE(c.task_key, g.task_key)
LEFT JOIN archive_plane plane ON plane.id = s.plane_id
LEFT JOIN archive_product product ON product.id = plane.product_id
ORDER BY s.id, 5
"""


def header(scope: Scope) -> Sequence[str]:
    """Fixed columns around one `votes_<answer>` for each answer that any of the workflows offers."""
    return (*BEFORE_VOTES, *column_names(_all_labels(scope), prefix="votes_"), *AFTER_VOTES)


def count(scope: Scope) -> int:
    return SubjectStatus.objects.filter(workflow_id__in=scope.workflow_ids).count()


def rows(scope: Scope) -> Iterator[Sequence[Any]]:
    """One row a subject and question, workflow by workflow."""
    labels = _all_labels(scope)
    for workflow in scope.workflows:
        parameters = {"workflow": workflow.pk, "as_of": scope.as_of, "first_task": workflow.first_task}
        for row in stream(ROWS, parameters):
            yield _row(workflow, labels, row)


def _row(workflow: Workflow, all_labels: list[str], row: Sequence[Any]) -> Sequence[Any]:
    (
        subject_id, dp_id, ra, dec, task, answer, probability, counts, majority, flagged, expert_answer,
        machine_answer, machine_probability, model_number, route, state, retired_at, reason,
    ) = row  # fmt: skip
    labels = answer_labels(workflow.tasks, workflow.strings, task)
    votes = dict(zip(labels, counts or [], strict=False))
    if expert_answer is not None:
        source, answer, probability = "expert", expert_answer, 1.0
    elif any(votes.values()):
        source = "volunteers"
    elif route == "accept":
        source, answer, probability = "machine", machine_answer, machine_probability
    else:  # published and not yet answered: its sums hold nothing but the prior
        source, answer, probability = "", None, None
    first_question = task == workflow.first_task
    return (
        subject_id,
        dp_id,
        ra,
        dec,
        workflow.pk,
        workflow.display_name,
        task,
        _name(labels, answer),
        _share(probability),
        source,
        sum(votes.values()),
        *((votes.get(label, 0) if label in labels else None) for label in all_labels),
        _name(labels, majority),
        boolean(flagged),
        _name(labels, machine_answer) if first_question else None,
        _share(machine_probability) if first_question else None,
        model_number if first_question else None,
        route,
        state,
        time_text(retired_at),
        reason,
    )


def _all_labels(scope: Scope) -> list[str]:
    """Every answer of every question, once, in the order in which they are asked."""
    found: dict[str, None] = {}
    for workflow in scope.workflows:
        for task_key, task in workflow.tasks.items():
            if task.get("type") == "single":
                found |= dict.fromkeys(answer_labels(workflow.tasks, workflow.strings, task_key))
    return list(found)


def _name(labels: list[str], answer: int | None) -> str | None:
    return labels[answer] if answer is not None and answer < len(labels) else None


def _share(probability: float | None) -> str | None:
    return None if probability is None else f"{probability:.6f}"
