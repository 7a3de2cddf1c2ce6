"""Caesar's rows as JSON, for its API and for the servers that are called. Ids are numbers, as Caesar writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from esocs.crowd.caesar.filters import Extract as Read
from esocs.crowd.models import (
    CaesarWorkflow,
    Extract,
    Extractor,
    Reducer,
    RuleEffect,
    SubjectReduction,
    SubjectRule,
    UserReduction,
    UserRule,
)

Document = dict[str, Any]

HIDDEN = "********"


def timestamp(moment: datetime) -> str:
    """ISO 8601 with milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _times(row: Any) -> Document:
    return {"created_at": timestamp(row.created_at), "updated_at": timestamp(row.updated_at)}


def workflow_document(row: CaesarWorkflow) -> Document:
    return {
        "id": row.workflow_id,
        "project_id": row.workflow.project_id,
        "name": row.workflow.display_name,
        "public_extracts": row.public_extracts,
        "public_reductions": row.public_reductions,
        "rules_applied": row.rules_applied,
        "status": row.status,
        **_times(row),
    }


def extractor_document(row: Extractor) -> Document:
    return {
        "id": row.pk,
        "workflow_id": row.workflow_id,
        "key": row.key,
        "type": row.type,
        "task_key": row.task_key,
        "if_missing": row.if_missing,
        "minimum_workflow_version": row.minimum_workflow_version or None,
        "config": row.config,
        **_times(row),
    }


def reducer_document(row: Reducer) -> Document:
    return {
        "id": row.pk,
        "workflow_id": row.workflow_id,
        "key": row.key,
        "type": row.type,
        "topic": row.topic,
        "reduction_mode": row.reduction_mode,
        "filters": row.filters,
        "grouping": row.grouping,
        "config": row.config,
        **_times(row),
    }


def rule_document(row: SubjectRule | UserRule) -> Document:
    return {
        "id": row.pk,
        "workflow_id": row.workflow_id,
        "condition": row.condition,
        "row_order": row.position,
        **_times(row),
    }


def effect_document(row: RuleEffect) -> Document:
    config: Document = dict(row.config)
    if config.pop("sealed_password", None) is not None:
        config["password"] = HIDDEN
    if row.action == RuleEffect.Action.RETIRE:
        config["reason"] = row.reason
    for name, pk in (
        ("subject_set_id", row.subject_set_id),
        ("collection_id", row.collection_id),
        ("workflow_id", row.promotes_to_id),
    ):
        if pk is not None:
            config[name] = pk
    owner = "subject_rule_id" if row.subject_rule_id is not None else "user_rule_id"
    rule_id = row.subject_rule_id or row.user_rule_id
    return {"id": row.pk, owner: rule_id, "action": row.action, "config": config, **_times(row)}


def extract_document(row: Extract, *, named: bool) -> Document:
    """With its author where `named`; needs `extractor` and `classification__volunteer`."""
    classification = row.classification
    user_id = classification.volunteer.user_id if classification is not None else None
    return {
        "id": row.pk,
        "workflow_id": row.extractor.workflow_id,
        "extractor_key": row.extractor.key,
        "classification_id": row.classification_id,
        "classification_at": timestamp(classification.created_at) if classification is not None else None,
        "subject_id": row.subject_id,
        "user_id": user_id if named else None,
        "machine_data": row.machine_data,
        "data": row.data,
        **_times(row),
    }


def reduction_document(row: SubjectReduction | UserReduction) -> Document:
    """Needs `reducer`."""
    whose = {"subject_id": row.subject_id} if isinstance(row, SubjectReduction) else {"user_id": row.user_id}
    workflow_id = row.reducer.workflow_id
    return {
        "id": row.pk,
        "reducer_key": row.reducer.key,
        "workflow_id": workflow_id,
        "reducible": {"id": workflow_id, "type": "Workflow"},
        **whose,
        "subgroup": row.subgroup,
        "data": row.data,
        "failure": row.error or None,
        **_times(row),
    }


def read_document(one: Read) -> Document:
    """An extract as external reducers are sent it."""
    return {
        "extractor_key": one.extractor_key,
        "classification_id": one.classification_id,
        "classification_at": timestamp(one.at),
        "subject_id": one.subject_id,
        "user_id": one.user_id,
        "data": one.data,
    }
