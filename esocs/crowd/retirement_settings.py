"""How a workflow retires its subjects: changing it, trying a change out first, and following one made elsewhere.

`Workflow.retirement` and `SubjectRule` rows are the source of truth; `RetirementSetting` keeps their history. A raised
limit opens again what it would not have retired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max, Min

from esocs.accounts.models import User
from esocs.crowd import reassessment, rules
from esocs.crowd.models import RetirementSetting, RuleEffect, SubjectRule, SubjectStatus
from esocs.crowd.rule_language import InvalidRuleError, check
from esocs.crowd.rule_templates import RETIREMENT_REASONS, get_template
from esocs.jobs.services import enqueue_many
from esocs.projects.models import SubjectSet, Workflow
from esocs.projects.rules import questions_of

STATUSES_PER_JOB = 5_000
# A preview looks at this many subjects at most, evenly spread, and says so.
PREVIEWED = 20_000


@dataclass(frozen=True, kw_only=True)
class RuleRequest:
    """A rule as a scientist asks for it: a template with its blanks filled."""

    template: str
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a setting would change.

    Attributes:
        looked_at: subjects that were tried.
        subjects: all that a rule decides on.
        retire: open or contested ones it would retire.
        reopen: retired or contested ones it would open again.
        contest: open ones it would send to the experts.
        reasons: why, of those it would retire.
    """

    looked_at: int
    subjects: int
    retire: int
    reopen: int
    contest: int
    reasons: dict[str, int]


@transaction.atomic
def change_retirement(
    *, workflow: Workflow, criterion: dict[str, Any], requests: Sequence[RuleRequest], author: User | None = None
) -> RetirementSetting:
    """Set when subjects retire, and order that every subject is considered again.

    Raises:
        InvalidRetirementError: the criterion cannot be followed.
        InvalidRuleError: a template's blank is missing or out of range.
    """
    locked = Workflow.objects.select_for_update().get(pk=workflow.pk)
    made = build_rules(locked, requests)
    rules.check_criterion(criterion)
    locked.retirement = criterion
    locked.save(update_fields=["retirement", "updated_at"])
    workflow.retirement = criterion
    # Rules that no template made belong to those who wrote them, through Caesar's API.
    SubjectRule.objects.filter(workflow=locked, active=True).exclude(template="").update(active=False)
    SubjectRule.objects.bulk_create([rule for rule, _ in made])
    RuleEffect.objects.bulk_create([effect for _, effect in made])
    return record_setting(locked, author=author)


def build_rules(workflow: Workflow, requests: Sequence[RuleRequest]) -> list[tuple[SubjectRule, RuleEffect]]:
    """The rules that templates with filled blanks stand for, each with its effect, not saved.

    Raises:
        InvalidRuleError: a blank is missing, out of range, or names a set of another project.
    """
    single = next((q for q in questions_of(workflow.tasks, workflow.first_task) if q.label is None), None)
    n_answers = single.n_answers if single else 0
    made = []
    for position, request in enumerate(requests):
        template = get_template(request.template)
        if template.asks_single and single is None:
            raise InvalidRuleError(
                f"“{template.title}” needs a first task with one choice.", hint="Use a rule that only counts people."
            )
        condition, options = template.fill(workflow.first_task, request.options, n_answers=n_answers)
        check(condition)
        subject_set = None
        if "subject_set" in options:
            sets = SubjectSet.objects.filter(project=workflow.project_id, pk=options["subject_set"])
            subject_set = sets.exclude(workflows=workflow).first()
            if subject_set is None:
                raise InvalidRuleError(
                    f"Subject set {options['subject_set']} is not one of this project's other workflows.",
                    hint="Choose a set that this workflow does not ask about already.",
                )
        if template.reason not in {"", *RETIREMENT_REASONS}:
            raise InvalidRuleError(f"{template.reason!r} is no retirement reason.")
        rule = SubjectRule(
            workflow=workflow, position=position, template=template.name, options=options, condition=condition
        )
        effect = RuleEffect(subject_rule=rule, action=template.effect, reason=template.reason, subject_set=subject_set)
        made.append((rule, effect))
    return made


def preview_retirement(*, workflow: Workflow, criterion: dict[str, Any], requests: Sequence[RuleRequest]) -> Preview:
    """What a setting would do to the subjects as they are now; nothing is written.

    Raises:
        InvalidRetirementError: the criterion cannot be followed.
        InvalidRuleError: a template's blank is missing or out of range.
    """
    rules.check_criterion(criterion)
    made = [
        rules.Rule(i, rule.condition, (rules.Effect(i, effect.action, effect.reason),))
        for i, (rule, effect) in enumerate(build_rules(workflow, requests))
    ]
    automatic = SubjectStatus.objects.filter(reassessment.AUTOMATIC, workflow=workflow)
    subjects = automatic.count()
    statuses = list(automatic.select_related("epoch").order_by("random_key")[:PREVIEWED])
    changes: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    tried = Workflow(pk=workflow.pk, tasks=workflow.tasks, first_task=workflow.first_task, retirement=criterion)
    for subject in reassessment.assess_as_known(tried, statuses, made):
        decision = subject.decide(tried, made)
        changes[subject.status.state, decision.state] += 1
        if decision.state == "retired" != subject.status.state:
            reasons[decision.reason] += 1
    return Preview(
        looked_at=len(statuses),
        subjects=subjects,
        retire=sum(n for (before, after), n in changes.items() if after == "retired" != before),
        reopen=sum(n for (before, after), n in changes.items() if after == "open" != before),
        contest=sum(n for (before, after), n in changes.items() if after == "contested" != before),
        reasons=dict(reasons.most_common()),
    )


def follow_changed_settings() -> int:
    """Find workflows whose criterion was changed elsewhere (the API, the admin) and consider their subjects again.

    Returns:
        How many there were.
    """
    newest = RetirementSetting.objects.order_by("workflow_id", "-id").distinct("workflow_id")
    known = {setting.workflow_id: setting.criterion for setting in newest}
    changed = 0
    for workflow in Workflow.objects.filter(statuses__isnull=False).distinct():
        if workflow.pk not in known:
            RetirementSetting.objects.create(
                workflow=workflow, criterion=workflow.retirement, rules=_described(workflow)
            )
        elif known[workflow.pk] != workflow.retirement:
            with transaction.atomic():
                record_setting(workflow, author=None)
            changed += 1
    return changed


def record_setting(workflow: Workflow, *, author: User | None) -> RetirementSetting:
    """Keep how the workflow retires its subjects from now on, and order that each is considered again."""
    setting = RetirementSetting.objects.create(
        workflow=workflow, criterion=workflow.retirement, rules=_described(workflow), author=author
    )
    bounds = SubjectStatus.objects.filter(workflow=workflow).aggregate(first=Min("id"), last=Max("id"))
    if bounds["first"] is not None:
        items = [
            (
                f"setting/{setting.pk}/{low}",
                {
                    "workflow_id": workflow.pk,
                    "first_id": low,
                    "last_id": low + STATUSES_PER_JOB - 1,
                    "author_id": author.pk if author else None,
                },
            )
            for low in range(bounds["first"], bounds["last"] + 1, STATUSES_PER_JOB)
        ]
        enqueue_many("crowd.reconsider", items=items, group=f"setting/{setting.pk}")
    return setting


def _described(workflow: Workflow) -> list[dict[str, Any]]:
    rows = SubjectRule.objects.filter(workflow=workflow, active=True).prefetch_related("effects")
    return [
        {
            "id": row.pk,
            "template": row.template,
            "options": row.options,
            "condition": row.condition,
            "effects": [
                {"action": effect.action, "reason": effect.reason, "subject_set": effect.subject_set_id}
                for effect in row.effects.all()
            ],
        }
        for row in rows.order_by("position", "id")
    ]
