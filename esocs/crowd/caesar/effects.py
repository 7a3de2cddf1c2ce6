"""What a rule does besides retiring: each as a job of its own, done once, and tried again if it fails."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from esocs.accounts.models import User
from esocs.crowd.caesar.calling import post
from esocs.crowd.caesar.documents import reduction_document
from esocs.crowd.caesar.errors import ReductionError
from esocs.crowd.caesar.sealing import unseal
from esocs.crowd.models import RuleEffect, SubjectReduction
from esocs.crowd.publication import add_to_set
from esocs.projects.community import collect_subjects, keep_settings
from esocs.projects.models import Subject


def apply_effect(
    effect_id: int, *, key: str, subject_id: int | None = None, user_id: int | None = None
) -> Callable[[], None] | None:
    """Do one effect's work, and return what is to be committed; None when there is nothing left to do.

    Args:
        effect_id: of the effect, which may be gone.
        key: of the job: servers that are called get it as `Idempotency-Key`.
        subject_id: whom a subject's rule is about.
        user_id: whom a volunteer's rule is about.

    Raises:
        OutboundError: another server was called in vain.
        ReductionError: there is no reduction to send.
    """
    effect = RuleEffect.objects.filter(pk=effect_id).select_related("subject_set", "collection", "promotes_to").first()
    if effect is None:
        return None
    if effect.promotes_to is not None and user_id is not None:
        return _promote(effect, user_id)
    subject = Subject.objects.filter(pk=subject_id or 0).first()
    if subject is None:
        return None
    if effect.subject_set is not None:
        return add_to_set(subject_set=effect.subject_set, subject_id=subject.pk)
    if effect.collection is not None:
        collection = effect.collection
        return lambda: collect_subjects(collection, [subject.pk])
    if effect.config.get("url"):
        _send(effect, subject, key)
    return None


def _promote(effect: RuleEffect, user_id: int) -> Callable[[], None] | None:
    user = User.objects.filter(pk=user_id, is_active=True).first()
    workflow = effect.promotes_to
    if user is None or workflow is None:
        return None
    promoted = {"workflow_id": str(workflow.pk)}
    return lambda: (keep_settings(project=workflow.project, user=user, settings=promoted), None)[1]


def _send(effect: RuleEffect, subject: Subject, key: str) -> None:
    rule = effect.subject_rule
    assert rule is not None
    reducer_key = effect.config["reducer_key"]
    rows = SubjectReduction.objects.filter(reducer__workflow=rule.workflow, reducer__key=reducer_key, subject=subject)
    found = list(rows.select_related("reducer").order_by("id")[:2])
    if len(found) != 1:
        raise ReductionError(
            f"Subject {subject.pk} has {len(found) or 'no'} reductions of {reducer_key!r}, and one is to be sent."
        )
    body: dict[str, Any] = reduction_document(found[0]) | {"subject": {"id": subject.pk, "metadata": subject.metadata}}
    headers = {"Idempotency-Key": key}
    if effect.action == RuleEffect.Action.EXTERNAL_WITH_BASIC_AUTH:
        pair = f"{effect.config['username']}:{unseal(effect.config['sealed_password'])}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    post(effect.config["url"], body, headers=headers)
