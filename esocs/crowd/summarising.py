"""Drawings, texts, surveys and sliders of each subject, summarised anew after new classifications.

`Classification.annotations` is the source of truth; `TaskSummary` rows are made from it whole, never added to.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Now

from esocs.crowd.models import Classification, SubjectStatus, TaskSummary
from esocs.crowd.summaries import Response, Summary, embed_details, summarise_task
from esocs.projects.models import Workflow
from esocs.projects.rules import flatten

log = logging.getLogger(__name__)

SUBJECTS_AT_ONCE = 500
SUMMARISED = frozenset(
    {"drawing", "dataVisAnnotation", "text", "survey", "slider", "dropdown", "dropdown-simple", "shortcut"}
)


def summarised_tasks(workflow: Workflow) -> dict[str, dict[str, Any]]:
    """The workflow's tasks that have a summary in place of a consensus."""
    return {key: task for key, task in workflow.tasks.items() if task.get("type") in SUMMARISED}


def list_workflows_to_summarise() -> list[int]:
    """Workflows with such tasks and subjects whose summaries are older than their classifications."""
    workflows = Workflow.objects.filter(classifications__isnull=False).distinct()
    return [workflow.pk for workflow in workflows if summarised_tasks(workflow) and _stale(workflow).exists()]


def _stale(workflow: Workflow) -> Any:
    """Statuses whose number of counted classifications is not the one their summaries were made of."""
    asked = list(summarised_tasks(workflow))
    made_of = TaskSummary.objects.filter(status=OuterRef("pk"), task_key__in=asked).order_by("counted")
    rows = SubjectStatus.objects.filter(workflow=workflow, classifications_count__gt=0)
    rows = rows.annotate(made_of=Subquery(made_of.values("counted")[:1]))
    return rows.filter(Q(made_of__isnull=True) | ~Q(made_of=F("classifications_count"))).order_by("id")


def _summary(task: dict[str, Any], responses: Sequence[Response], *, about: str) -> Summary:
    """A task's summary; one that cannot be made says so, and holds up no other."""
    try:
        return summarise_task(task, responses)
    except Exception:
        log.exception("no summary of %s", about)
        return Summary("failed", 0, {"failed": len(responses)})


def summarise_workflow(workflow: Workflow) -> Callable[[], None] | None:
    """Summarise some hundred subjects with new classifications; the returned effect writes them.

    Returns:
        None when every summary is up to date.
    """
    tasks = summarised_tasks(workflow)
    statuses = {row.subject_id: row for row in _stale(workflow)[:SUBJECTS_AT_ONCE]}
    if not tasks or not statuses:
        return None
    rows = Classification.objects.filter(workflow=workflow, subject__in=list(statuses), counted=True)
    responses: dict[tuple[int, str], list[Response]] = defaultdict(list)
    counted: dict[int, int] = defaultdict(int)
    given = rows.order_by("id").values_list("subject_id", "volunteer_id", "annotations")
    for subject_id, volunteer_id, answers in given.iterator(chunk_size=500):
        counted[subject_id] += 1
        for answer in flatten(embed_details(answers)) if isinstance(answers, list) else []:
            key = answer.get("task") if isinstance(answer, dict) else None
            if isinstance(key, str) and key in tasks:
                responses[subject_id, key].append(Response(volunteer_id, answer.get("value")))
    summaries = []
    for subject_id, n in counted.items():
        for key, task in tasks.items():
            found = _summary(task, responses[subject_id, key], about=f"status {statuses[subject_id].pk}, {key}")
            summaries.append(
                TaskSummary(
                    status=statuses[subject_id],
                    task_key=key,
                    kind=found.kind,
                    seen_by=found.seen_by,
                    counted=n,
                    rejected=found.rejected,
                    value=found.value,
                    updated_at=Now(),
                )
            )

    def write() -> None:
        TaskSummary.objects.bulk_create(
            summaries,
            update_conflicts=True,
            unique_fields=["status", "task_key"],
            update_fields=["kind", "seen_by", "counted", "rejected", "value", "updated_at"],
            batch_size=500,
        )

    return write
