"""Rules on reductions: which hold, what they do, and which subjects they retire.

`SubjectRuleMatch` and `UserRuleMatch` rows remember what holds, so that an effect happens once for each time that its
rule begins to hold. A rule that cannot be worked out says so in its row and does nothing; the others go on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from esocs.crowd.by_hand import ensure_statuses
from esocs.crowd.caesar.bindings import bind
from esocs.crowd.caesar.extracting import LONGEST_ERROR, group_of
from esocs.crowd.models import (
    CaesarWorkflow,
    RuleEffect,
    StatusChange,
    SubjectReduction,
    SubjectRule,
    SubjectRuleMatch,
    SubjectStatus,
    UserReduction,
    UserRule,
    UserRuleMatch,
)
from esocs.crowd.reassessment import AUTOMATIC, assess_as_known, decide_again
from esocs.crowd.rule_language import Facts, InvalidRuleError, evaluate
from esocs.jobs.services import enqueue_many
from esocs.projects.models import Subject, Workflow

JOB = "crowd.apply_rule"


@dataclass(frozen=True)
class Outcome:
    """Of one rule on one subject or user."""

    holds: bool
    error: str = ""


def match_rules(rules: Iterable[tuple[int, Any]], facts: Facts, *, first_only: bool) -> dict[int, Outcome]:
    """Which rules hold on these facts.

    Args:
        rules: ids and conditions, in their order.
        facts: what they look up.
        first_only: those after the first that holds do not count.
    """
    outcomes: dict[int, Outcome] = {}
    ended = False
    for rule_id, condition in rules:
        if ended:
            outcomes[rule_id] = Outcome(False)
            continue
        try:
            outcomes[rule_id] = Outcome(bool(evaluate(condition, facts)))
        except InvalidRuleError as error:
            outcomes[rule_id] = Outcome(False, error.message[:LONGEST_ERROR])
        ended = first_only and outcomes[rule_id].holds
    return outcomes


def follow_subject_rules(
    setting: CaesarWorkflow, subject_ids: Sequence[int], *, answered: Collection[int], reconsidered: Collection[int]
) -> None:
    """Work the rules out on these subjects, order their effects, and retire whom they retire.

    Args:
        setting: the workflow's, whose lock is held.
        subject_ids: whose reductions are up to date.
        answered: those with a new classification: what a person opened again may retire anew.
        reconsidered: those that may open again, since a rule was changed.
    """
    workflow = setting.workflow
    rules = SubjectRule.objects.filter(workflow=workflow, active=True, template="").prefetch_related("effects")
    chosen = list(rules.order_by("position", "id"))
    if not chosen:
        return
    facts = read_facts(workflow, subject_ids)
    first_only = setting.rules_applied == CaesarWorkflow.RulesApplied.FIRST
    pairs = [(rule.pk, rule.condition) for rule in chosen]
    outcomes = {pk: match_rules(pairs, facts[pk], first_only=first_only) for pk in subject_ids if pk in facts}
    times = _write_matches(SubjectRuleMatch, "subject_id", outcomes)
    _order_effects(workflow.pk, chosen, outcomes, times, "subject")
    retiring = {r.pk for r in chosen if any(e.action == RuleEffect.Action.RETIRE for e in r.effects.all())}
    retired = [pk for pk, found in outcomes.items() if any(found[rule].holds for rule in retiring)]
    ensure_statuses(workflow, retired)
    # What is retired stays so, until somebody changes a rule; what a person opened again waits for an answer.
    again = Q(retirement_cause=SubjectStatus.Cause.PERSON, state=SubjectStatus.State.OPEN)
    waits = again & ~Q(subject__in=answered)
    wanted = Q(subject__in=retired) & ~Q(state=SubjectStatus.State.RETIRED) & ~waits
    wanted |= Q(subject__in=reconsidered) & AUTOMATIC
    statuses = SubjectStatus.objects.filter(wanted, workflow=workflow)
    decide_again(workflow, statuses, cause=StatusChange.Cause.REDUCTION)


def follow_user_rules(setting: CaesarWorkflow, user_ids: Sequence[int]) -> None:
    """Work the volunteers' rules out, and order their effects."""
    rules = UserRule.objects.filter(workflow=setting.workflow, active=True).prefetch_related("effects")
    chosen = list(rules.order_by("position", "id"))
    if not chosen or not user_ids:
        return
    reductions: defaultdict[int, list[tuple[str, str, Any]]] = defaultdict(list)
    rows = UserReduction.objects.filter(reducer__workflow=setting.workflow, user__in=user_ids, data__isnull=False)
    for user_id, key, subgroup, data in rows.order_by("id").values_list("user_id", "reducer__key", "subgroup", "data"):
        reductions[user_id].append((key, subgroup, data))
    first_only = setting.rules_applied == CaesarWorkflow.RulesApplied.FIRST
    pairs = [(rule.pk, rule.condition) for rule in chosen]
    outcomes = {pk: match_rules(pairs, bind(reductions[pk]), first_only=first_only) for pk in user_ids}
    times = _write_matches(UserRuleMatch, "user_id", outcomes)
    _order_effects(setting.workflow.pk, chosen, outcomes, times, "user")


def read_facts(workflow: Workflow, subject_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Everything that rules can look up about these subjects."""
    statuses = list(
        SubjectStatus.objects.filter(workflow=workflow, subject__in=subject_ids).select_related("epoch").order_by("id")
    )
    known = {one.status.subject_id: one.facts() for one in assess_as_known(workflow, statuses, count_experts=True)}
    reductions: defaultdict[int, list[tuple[str, str, Any]]] = defaultdict(list)
    rows = SubjectReduction.objects.filter(reducer__workflow=workflow, subject__in=subject_ids, data__isnull=False)
    for subject_id, key, subgroup, data in rows.order_by("id").values_list(
        "subject_id", "reducer__key", "subgroup", "data"
    ):
        reductions[subject_id].append((key, subgroup, data))
    about = dict(Subject.objects.filter(pk__in=subject_ids).values_list("pk", "metadata"))
    return {pk: bind(reductions[pk], subject=(pk, metadata), known=known.get(pk, {})) for pk, metadata in about.items()}


Matches = type[SubjectRuleMatch] | type[UserRuleMatch]


def _write_matches(
    kind: Matches, whose: str, outcomes: Mapping[int, Mapping[int, Outcome]]
) -> dict[tuple[int, int], int]:
    """Write what changed. Returns how often each rule has begun to hold, by subject or user and rule."""
    rows = kind.objects.filter(**{f"{whose}__in": list(outcomes)}, rule__active=True)
    known = {(getattr(row, whose), row.rule_id): row for row in rows}
    times: dict[tuple[int, int], int] = {}
    changed: list[Any] = []
    for pk, found in outcomes.items():
        for rule_id, outcome in found.items():
            before = known.get((pk, rule_id))
            held, number = (before.holds, before.times) if before is not None else (False, 0)
            times[pk, rule_id] = number = number + (outcome.holds and not held)
            same = before is not None and (held, before.error) == (outcome.holds, outcome.error)
            if same or (before is None and outcome == Outcome(False)):
                continue
            changed.append(
                kind(
                    **{whose: pk}, rule_id=rule_id, holds=outcome.holds, error=outcome.error, times=number,
                    changed_at=Now(),
                )
            )  # fmt: skip
    kind.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=[whose.removesuffix("_id"), "rule"],
        update_fields=["holds", "error", "times", "changed_at"],
        batch_size=1_000,
    )
    return times


def _order_effects(
    workflow_id: int,
    rules: Sequence[SubjectRule] | Sequence[UserRule],
    outcomes: Mapping[int, Mapping[int, Outcome]],
    times: Mapping[tuple[int, int], int],
    whom: str,
) -> None:
    """Order what the rules that hold do besides retiring; ordered before, it is not ordered again."""
    items = [
        (
            f"effect/{effect.pk}/{whom}/{pk}/time/{times[pk, rule.pk]}",
            {"effect_id": effect.pk, f"{whom}_id": pk},
        )
        for rule in rules
        for effect in rule.effects.all()
        if effect.action != RuleEffect.Action.RETIRE
        for pk, found in outcomes.items()
        if found[rule.pk].holds
    ]
    if items:
        enqueue_many(JOB, items=items, group=group_of(workflow_id))
