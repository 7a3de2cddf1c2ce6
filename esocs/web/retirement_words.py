"""A workflow's retirement in words: the criterion, the rules, and every change of a subject's state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classifier.errors import EsocsError
from esocs.crowd import queries
from esocs.crowd.models import RetirementSetting, StatusChange
from esocs.crowd.retirement import DEFAULT_COUNT, check_criterion, parse_consensus
from esocs.crowd.rule_templates import TEMPLATES
from esocs.projects.models import SubjectSet, Workflow
from esocs.projects.rules import answer_labels
from esocs.web.rule_words import describe_condition

BLANK = re.compile(r"\{(\w+)\}")

REASONS = {
    "classification_count": "as many classifications as were asked for",
    "consensus": "the consensus is sure enough",
    "contested": "many classifications and no consensus",
    "nothing_here": "there is nothing to see",
    "flagged": "it was flagged",
    "human": "an expert or a person decided",
    "other": "a rule of the project's",
}

CAUSES = {
    StatusChange.Cause.SUBMISSION: "a classification",
    StatusChange.Cause.REFIT: "skill fitted anew",
    StatusChange.Cause.SETTING: "changed retirement",
    StatusChange.Cause.REDUCTION: "a rule on reductions",
    StatusChange.Cause.EXPERT: "an expert's answer",
    StatusChange.Cause.PERSON: "by hand",
}


@dataclass(frozen=True, kw_only=True)
class SettingLine:
    """One entry of the history."""

    setting: RetirementSetting
    criterion: str
    rules: list[str]


@dataclass(frozen=True, kw_only=True)
class ChangeLine:
    """One step of a subject's way, in words."""

    change: StatusChange
    cause: str
    reason: str
    answer: str

    @property
    def kept(self) -> bool:
        """Whether the state stayed: an expert has looked, and the subject was retired before."""
        return self.change.before == self.change.after


def describe_criterion(criterion: Mapping[str, Any] | None, labels: Sequence[str]) -> str:
    """When subjects retire, as a sentence; a criterion that cannot be followed says so."""
    try:
        check_criterion(criterion)
    except EsocsError as error:
        return f"This setting cannot be followed: {error.message}"
    criterion = criterion or {}
    options = criterion.get("options") or {}
    match criterion.get("criteria", "classification_count"):
        case "never_retire":
            return "Never."
        case "classification_count":
            return f"After {options.get('count', DEFAULT_COUNT)} classifications."
    wanted = parse_consensus(options)
    if wanted.costs is not None:
        error_cost, vote_cost = wanted.costs
        sure = (
            f"Once one more vote would cost more than it is expected to save: an error costs {error_cost:g}, a vote"
            f" {vote_cost:g}"
        )
    else:
        sure = f"Once an answer's probability reaches {wanted.threshold:g}"
        own = [f"“{_label(labels, answer)}” {value:g}" for answer, value in sorted(wanted.thresholds.items())]
        sure += f" ({', '.join(own)})" if own else ""
    return f"{sure}; after {wanted.minimum} votes at least. After {wanted.maximum} it goes to the experts."


def describe_rule(rule: Mapping[str, Any], *, labels: Sequence[str], sets: Mapping[int, str]) -> str:
    """A rule of the history as its template's sentence; one without a template as it is written."""
    template = TEMPLATES.get(str(rule.get("template")))
    options = rule.get("options") or {}
    if template is None:
        condition = rule.get("condition")
        return f"When {describe_condition(condition)}" if condition else "A rule"

    def fill(found: re.Match[str]) -> str:
        name = found.group(1)
        value = options.get(name)
        if name == "answer" and isinstance(value, int):
            return _label(labels, value)
        if name == "subject_set":
            return sets.get(value, f"set {value}") if isinstance(value, int) else "?"
        return f"{value:g}" if isinstance(value, float) else str(value)

    return BLANK.sub(fill, template.sentence)


def list_setting_lines(workflow: Workflow, *, limit: int) -> list[SettingLine]:
    """The newest settings in words, by two statements."""
    labels = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    settings = list(queries.list_retirement_settings(workflow)[:limit])
    named = [rule.get("options", {}).get("subject_set") for setting in settings for rule in setting.rules]
    sets = dict(SubjectSet.objects.filter(pk__in={pk for pk in named if pk}).values_list("pk", "display_name"))
    return [
        SettingLine(
            setting=setting,
            criterion=describe_criterion(setting.criterion, labels),
            rules=[describe_rule(rule, labels=labels, sets=sets) for rule in setting.rules],
        )
        for setting in settings
    ]


def describe_changes(changes: Sequence[StatusChange], labels: Sequence[str]) -> list[ChangeLine]:
    """Every change with its cause, its reason and its answer in words."""
    return [
        ChangeLine(
            change=change,
            cause=CAUSES.get(StatusChange.Cause(change.cause), change.cause),
            reason=REASONS.get(change.reason, change.reason),
            answer=_label(labels, change.answer) if change.answer is not None else "",
        )
        for change in changes
    ]


def _label(labels: Sequence[str], answer: int) -> str:
    return labels[answer] if 0 <= answer < len(labels) else f"answer {answer}"
