"""Training subjects: their experts' answers may be told to volunteers, so theirs never count and evaluate nothing.

Panoptes' mark, `#training_subject` in a subject's metadata, makes one, and so does a set that is for training;
`SubjectStatus.training` keeps it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Q

from esocs.crowd.as_panoptes.streams import read_streams
from esocs.crowd.models import GoldStandard, SubjectStatus
from esocs.projects.models import SetMemberSubject, Subject, Workflow

MARK = "#training_subject"
TRUE = frozenset({"true", "1", "yes"})


def is_training_subject(metadata: Mapping[str, Any]) -> bool:
    """Whether a subject's metadata mark it as one to practise on."""
    return str(metadata.get(MARK, "")).strip().lower() in TRUE


def list_training_subjects(workflow: Workflow, subject_ids: Collection[int]) -> set[int]:
    """Those of the subjects that are to practise on: marked themselves, or in a set that is for training."""
    marked = Subject.objects.filter(pk__in=subject_ids, metadata__has_key=MARK).values_list("pk", "metadata")
    streams = read_streams(workflow.configuration if isinstance(workflow.configuration, dict) else {})
    sets = Q(subject_set__in=[*streams.training_sets, *streams.spacewarps_sets])
    sets |= Q(subject_set__metadata__training__in=[True, "true"])
    in_sets = SetMemberSubject.objects.filter(sets, subject__in=subject_ids, subject_set__workflows=workflow)
    return {pk for pk, metadata in marked if is_training_subject(metadata)} | set(
        in_sets.values_list("subject_id", flat=True)
    )


def read_feedback(workflow: Workflow, subject: Subject) -> dict[str, dict[str, Any]]:
    """What may be told about a training subject: each question's right answer, and the project's own words if any.

    Nothing where the workflow does not give feedback, and nothing ever about gold that evaluates people or machines.
    """
    configured = workflow.configuration if isinstance(workflow.configuration, dict) else {}
    training = SubjectStatus.objects.filter(workflow=workflow, subject=subject, training=True)
    if not configured.get("feedback") or not training.exists():
        return {}
    words = {
        name: subject.metadata[key]
        for name, key in (("success", "#feedback_1_successMessage"), ("failure", "#feedback_1_failureMessage"))
        if isinstance(subject.metadata.get(key), str)
    }
    rows = GoldStandard.objects.filter(workflow=workflow, subject=subject)
    told: dict[str, dict[str, Any]] = {row.task_key: {"answer": row.answer, **words} for row in rows}
    written = str(subject.metadata.get("#feedback_1_answer", ""))
    if workflow.first_task not in told and written.isdecimal() and len(written) < 4:
        told[workflow.first_task] = {"answer": int(written), **words}
    return told
