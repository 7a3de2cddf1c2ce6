"""Making, changing and deleting what a workflow is aggregated by. Each change has everything derived anew.

The workflow's `CaesarWorkflow` row is locked first, so that nothing is derived by half of a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Max, Q

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.crowd.caesar.configuration import (
    SUBJECT_ACTIONS,
    USER_ACTIONS,
    read_condition,
    read_effect,
    read_extractor,
    read_reducer,
)
from esocs.crowd.caesar.deriving import lock_workflow, order_all
from esocs.crowd.caesar.documents import HIDDEN
from esocs.crowd.caesar.errors import CaesarConfigurationError
from esocs.crowd.caesar.reduction import REDUCERS
from esocs.crowd.caesar.sealing import seal
from esocs.crowd.models import CaesarWorkflow, Extractor, Reducer, RuleEffect, SubjectRule, UserRule
from esocs.crowd.retirement_settings import record_setting
from esocs.projects.access import COLLABORATORS
from esocs.projects.models import Collection, Project, ProjectRole, SubjectSet, Workflow

Sent = Mapping[str, Any]

MOST_OBJECTS = 50
"""Extractors, reducers or rules of a workflow, and effects of a rule."""


class CaesarWorkflowNotFoundError(EsocsError):
    """Caesar does not know the workflow: nobody has saved it there."""

    code = "caesar_workflow_not_found"
    status = 404


def lock(workflow: Workflow) -> CaesarWorkflow:
    """The workflow's row, locked until the end of the transaction.

    Raises:
        CaesarWorkflowNotFoundError: it has none.
    """
    setting = lock_workflow(workflow.pk)
    if setting is None:
        raise CaesarWorkflowNotFoundError(
            f"Couldn't find Workflow with 'id'={workflow.pk}", hint="Save the workflow to Caesar first."
        )
    return setting


@transaction.atomic
def save_workflow(workflow: Workflow, sent: Sent) -> CaesarWorkflow:
    """Have a workflow aggregated by Caesar's objects, or change how. What is not sent stays.

    Raises:
        CaesarConfigurationError: a value out of range.
    """
    setting, new = CaesarWorkflow.objects.select_for_update().get_or_create(workflow=workflow)
    before = setting.status, setting.rules_applied
    for name in ("public_extracts", "public_reductions"):
        if name in sent:
            if not isinstance(sent[name], bool):
                raise CaesarConfigurationError(f"`{name}` is true or false.")
            setattr(setting, name, sent[name])
    for name, choices in (("rules_applied", CaesarWorkflow.RulesApplied), ("status", CaesarWorkflow.Status)):
        if name in sent:
            if sent[name] not in choices.values:
                raise CaesarConfigurationError(f"`{name}` is one of {', '.join(choices.values)}.")
            setattr(setting, name, sent[name])
    setting.save()
    if new or before != (setting.status, setting.rules_applied):
        order_all(workflow.pk)
    return setting


@transaction.atomic
def save_extractor(workflow: Workflow, sent: Sent, row: Extractor | None = None) -> Extractor:
    """Make an extractor, or change one; a changed one reads every classification again.

    Raises:
        CaesarWorkflowNotFoundError: Caesar does not know the workflow.
        CaesarConfigurationError, AddressRefusedError: it cannot work.
    """
    lock(workflow)
    columns = read_extractor(sent, allowed=settings.OUTBOUND_ALLOWED)
    made = row or Extractor(workflow=workflow)
    _require_room(Extractor.objects.filter(workflow=workflow), made)
    _save(made, columns)
    if row is not None:
        made.extracts.filter(machine_data=made.type == "machine").delete()
    order_all(workflow.pk)
    return made


@transaction.atomic
def save_reducer(workflow: Workflow, sent: Sent, row: Reducer | None = None) -> Reducer:
    """Make a reducer, or change one; a changed one reduces everything again.

    Raises:
        CaesarWorkflowNotFoundError: Caesar does not know the workflow.
        CaesarConfigurationError, CaesarUnsupportedError, AddressRefusedError: it cannot work.
    """
    lock(workflow)
    columns = read_reducer(sent, allowed=settings.OUTBOUND_ALLOWED, queues=settings.SQS_ACCESS_KEY_ID != "")
    made = row or Reducer(workflow=workflow)
    _require_room(Reducer.objects.filter(workflow=workflow), made)
    _save(made, columns)
    if row is not None and made.type in REDUCERS:
        made.subject_reductions.all().delete()
        made.user_reductions.all().delete()
    order_all(workflow.pk)
    return made


@transaction.atomic
def delete_keyed(row: Extractor | Reducer) -> None:
    """Delete an extractor or a reducer with all that it made."""
    lock(row.workflow)
    row.delete()
    order_all(row.workflow_id)


def _require_room(others: models.QuerySet[Any], row: models.Model) -> None:
    if row.pk is None and others.count() >= MOST_OBJECTS:
        raise CaesarConfigurationError(f"There are {MOST_OBJECTS} already.", hint="Delete one that is not needed.")


def _save(row: Extractor | Reducer, columns: Mapping[str, Any]) -> None:
    same = type(row).objects.filter(workflow=row.workflow, key=columns["key"])
    if same.exclude(pk=row.pk).exists():
        raise CaesarConfigurationError(f"The key {columns['key']!r} is taken.", hint="Choose another, or change that.")
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()


@transaction.atomic
def save_subject_rule(
    workflow: Workflow, sent: Sent, row: SubjectRule | None = None, *, author: User | None = None
) -> SubjectRule:
    """Write a rule by hand, or change one: what it retired may open again.

    Raises:
        CaesarWorkflowNotFoundError: Caesar does not know the workflow.
        InvalidRuleError: the condition cannot be read.
    """
    lock(workflow)
    condition = read_condition(sent)
    rules = SubjectRule.objects.filter(workflow=workflow, active=True)
    made = row or SubjectRule(workflow=workflow, position=_next_position(rules))
    _require_room(rules.filter(template=""), made)
    made.condition = condition
    made.save()
    _reconsider(workflow, author)
    return made


@transaction.atomic
def save_user_rule(workflow: Workflow, sent: Sent, row: UserRule | None = None) -> UserRule:
    """Write a rule about volunteers, or change one.

    Raises:
        CaesarWorkflowNotFoundError: Caesar does not know the workflow.
        InvalidRuleError: the condition cannot be read.
    """
    lock(workflow)
    condition = read_condition(sent)
    rules = UserRule.objects.filter(workflow=workflow, active=True)
    made = row or UserRule(workflow=workflow, position=_next_position(rules))
    _require_room(rules, made)
    made.condition = condition
    made.save()
    order_all(workflow.pk)
    return made


@transaction.atomic
def delete_rule(row: SubjectRule | UserRule, *, author: User | None = None) -> None:
    """End a rule; what it retired may open again, its other effects stay."""
    lock(row.workflow)
    type(row).objects.filter(pk=row.pk).update(active=False)
    if isinstance(row, SubjectRule):
        _reconsider(row.workflow, author)


def _next_position(rules: models.QuerySet[Any]) -> int:
    last = rules.aggregate(last=Max("position"))["last"]
    return 0 if last is None else min(int(last) + 1, 32_767)


def _reconsider(workflow: Workflow, author: User | None) -> None:
    """After the rules of subjects changed: keep what they are now, and work them out anew."""
    order_all(workflow.pk, reconsider=True)
    record_setting(workflow, author=author)


@transaction.atomic
def save_effect(rule: SubjectRule | UserRule, sent: Sent, row: RuleEffect | None = None, *, author: User) -> RuleEffect:
    """Add an effect to a rule, or change one. It happens for every subject or volunteer of whom the rule holds.

    Raises:
        CaesarWorkflowNotFoundError: Caesar does not know the workflow.
        CaesarConfigurationError, AddressRefusedError: it cannot work, or names what is not the project's.
    """
    lock(rule.workflow)
    of_subject = isinstance(rule, SubjectRule)
    actions = SUBJECT_ACTIONS if of_subject else USER_ACTIONS
    action, config = read_effect(sent, actions=actions, allowed=settings.OUTBOUND_ALLOWED)
    made = row or RuleEffect(**{"subject_rule" if of_subject else "user_rule": rule})
    _require_room(rule.effects.all(), made)
    made.action, made.reason = action, config.pop("reason", "")
    made.subject_set = made.collection = made.promotes_to = None
    if "subject_set_id" in config:
        made.subject_set = _find_set(rule.workflow, config.pop("subject_set_id"))
    if "collection_id" in config:
        made.collection = _find_collection(rule.workflow.project, config.pop("collection_id"), author)
    if "workflow_id" in config:
        made.promotes_to = _find_workflow(rule.workflow, config.pop("workflow_id"))
    made.config = _sealed(config, made.config)
    made.save()
    _follow(rule, author)
    return made


def _sealed(config: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as it is kept. Who sends back what is shown for a password leaves it as it was."""
    password = config.pop("password", None)
    if password is None:
        return config
    kept = before.get("sealed_password") if password == HIDDEN else None
    return {**config, "sealed_password": kept or seal(password)}


@transaction.atomic
def delete_effect(row: RuleEffect, *, author: User | None = None) -> None:
    """Take an effect from its rule; what it retired may open again."""
    rule = row.subject_rule or row.user_rule
    assert rule is not None
    lock(rule.workflow)
    row.delete()
    _follow(rule, author)


def _follow(rule: SubjectRule | UserRule, author: User | None) -> None:
    if isinstance(rule, SubjectRule):
        _reconsider(rule.workflow, author)
    else:
        order_all(rule.workflow_id)


def _find_set(workflow: Workflow, pk: int) -> SubjectSet:
    found = SubjectSet.objects.filter(project=workflow.project_id, pk=pk).first()
    if found is None:
        raise CaesarConfigurationError(f"The project has no subject set {pk}.")
    if found.workflows.filter(pk=workflow.pk).exists():
        raise CaesarConfigurationError(
            f"The workflow itself asks about the subject set {pk}.", hint="Name a set of another workflow."
        )
    return found


def _find_collection(project: Project, pk: int, author: User) -> Collection:
    """A collection of the author's or of one of the project's people, so that no rule fills a stranger's."""
    people = ProjectRole.objects.filter(project=project, role__in=COLLABORATORS).values("user")
    ours = Q(owner=author) | Q(owner=project.owner_id) | Q(owner__in=people)
    found = Collection.objects.filter(ours, pk=pk).first()
    if found is None:
        raise CaesarConfigurationError(f"The project's people have no collection {pk}.")
    return found


def _find_workflow(workflow: Workflow, pk: int) -> Workflow:
    found = Workflow.objects.filter(project=workflow.project_id, pk=pk).exclude(pk=workflow.pk).first()
    if found is None:
        raise CaesarConfigurationError(f"The project has no other workflow {pk}.")
    return found
