"""The form of a workflow's retirement: what was typed, what it asks for, and what is wrong with it.

Values stay as they were typed, so that a page with errors shows them again; `crowd` decides what can be followed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.crowd.models import SubjectRule
from esocs.crowd.modes import get_mode
from esocs.crowd.retirement import DEFAULT_COUNT, InvalidRetirementError, check_criterion
from esocs.crowd.retirement_settings import (
    Preview,
    RuleRequest,
    build_rules,
    change_retirement,
    preview_retirement,
)
from esocs.crowd.rule_templates import TEMPLATES, Blank, Template
from esocs.projects.models import SubjectSet, Workflow
from esocs.projects.rules import answer_labels
from esocs.web.retirement_words import BLANK

CRITERIA = ("consensus", "classification_count", "never_retire")
DECIDED_BY = ("threshold", "costs")
# Templates that ask for no more than how many have answered: the only ones for a first task of another type.
COUNTING = frozenset({"expert", "total"})
MOST_RULES = 50
MOST_TYPED = 40
"""Characters of one field that anybody reads."""

CONSENSUS_FIELDS = {"threshold": "0.95", "minimum": "3", "maximum": str(DEFAULT_COUNT)}
COST_FIELDS = {"error_cost": "", "vote_cost": ""}


@dataclass(frozen=True, kw_only=True)
class Field:
    """A blank of a rule's sentence, as the form draws it."""

    blank: Blank
    id: str
    value: str
    choices: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class RuleRow:
    """One rule of the form: a template, and what was typed into its blanks."""

    number: int
    template: Template
    typed: Mapping[str, str]
    error: EsocsError | None = None
    new: bool = False

    @property
    def request(self) -> RuleRequest:
        return RuleRequest(template=self.template.name, options=dict(self.typed))


@dataclass(frozen=True, kw_only=True)
class RetirementForm:
    """Everything that was typed.

    Attributes:
        criteria: of `CRITERIA`.
        decided_by: of `DECIDED_BY`; for `consensus` alone.
        numbers: text of `count`, `threshold`, `minimum`, `maximum`, `error_cost` and `vote_cost`.
        thresholds: text of each answer's own τ, empty for the common one.
        mode: name of the way votes are weighed.
        rules: in their order.
        based_on: what was set when the form was made.
        error: what is wrong with the criterion or the mode.
    """

    criteria: str
    decided_by: str
    numbers: Mapping[str, str]
    thresholds: Sequence[str]
    mode: str
    rules: Sequence[RuleRow]
    based_on: str
    error: EsocsError | None = field(default=None)

    @property
    def criterion(self) -> dict[str, Any]:
        """The JSON that is asked for; what is no number stays as it was typed, to be refused by its name."""
        if self.criteria == "never_retire":
            return {"criteria": "never_retire", "options": {}}
        if self.criteria == "classification_count":
            return {"criteria": "classification_count", "options": {"count": _whole(self.numbers["count"])}}
        options: dict[str, Any] = {name: _whole(self.numbers[name]) for name in ("minimum", "maximum")}
        if self.decided_by == "costs":
            options |= {name: _number(self.numbers[name]) for name in COST_FIELDS}
        else:
            options["threshold"] = _number(self.numbers["threshold"])
            own = {str(i): _number(text) for i, text in enumerate(self.thresholds) if text}
            options |= {"thresholds": own} if own else {}
        return {"criteria": "consensus", "options": options}

    @property
    def requests(self) -> list[RuleRequest]:
        return [row.request for row in self.rules]

    @property
    def faulty(self) -> bool:
        return self.error is not None or any(row.error for row in self.rules)


def read_current(workflow: Workflow) -> RetirementForm:
    """The form filled with what is set now."""
    criterion = workflow.retirement or {}
    options = criterion.get("options")
    options = options if isinstance(options, Mapping) else {}
    own = options.get("thresholds")
    own = own if isinstance(own, Mapping) else {}
    numbers = {"count": str(DEFAULT_COUNT), **CONSENSUS_FIELDS, **COST_FIELDS}
    criteria = criterion.get("criteria", "classification_count")
    labels = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    rows = _active_rules(workflow)
    return RetirementForm(
        criteria=criteria if criteria in CRITERIA else "classification_count",
        decided_by="costs" if options.get("error_cost") or options.get("vote_cost") else "threshold",
        numbers={name: str(options.get(name) or default) for name, default in numbers.items()},
        thresholds=[str(own.get(str(i), "")) for i in range(len(labels))],
        mode=workflow.consensus_mode,
        rules=[
            RuleRow(
                number=number,
                template=TEMPLATES[row.template],
                typed={name: str(value) for name, value in row.options.items()},
            )
            for number, row in enumerate(row for row in rows if row.template in TEMPLATES)
        ],
        based_on=_digest(workflow, rows),
    )


def read_typed(workflow: Workflow, typed: Mapping[str, str]) -> RetirementForm:
    """The form as it was sent; fields that are missing or make no sense are as in a new one."""

    def text(name: str, default: str = "") -> str:
        return typed.get(name, default).strip()[:MOST_TYPED]

    criteria, decided_by = text("criteria"), text("decided_by")
    labels = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    rows: list[RuleRow] = []
    count = text("rules", "0")
    for i in range(min(int(count), MOST_RULES) if count.isdecimal() else 0):
        template = TEMPLATES.get(text(f"rule-{i}-template"))
        if template is not None:
            given = {blank.name: text(f"rule-{i}-{blank.name}") for blank in template.blanks}
            rows.append(RuleRow(number=len(rows), template=template, typed=given))
    numbers = {"count": str(DEFAULT_COUNT), **CONSENSUS_FIELDS, **COST_FIELDS}
    return RetirementForm(
        criteria=criteria if criteria in CRITERIA else "classification_count",
        decided_by=decided_by if decided_by in DECIDED_BY else "threshold",
        numbers={name: text(name, default) for name, default in numbers.items()},
        thresholds=[text(f"threshold-{i}") for i in range(len(labels))],
        mode=text("mode"),
        rules=rows,
        based_on=text("based_on"),
    )


def add_rule(form: RetirementForm, name: str) -> RetirementForm:
    """The form with one more rule, its blanks at their defaults."""
    template = TEMPLATES.get(name)
    if template is None or len(form.rules) >= MOST_RULES:
        return form
    typed = {blank.name: "" if blank.default is None else str(blank.default) for blank in template.blanks}
    row = RuleRow(number=len(form.rules), template=template, typed=typed, new=True)
    return replace(form, rules=[*form.rules, row])


def remove_rule(form: RetirementForm, number: str) -> RetirementForm:
    """The form without one of its rules."""
    kept = [row for row in form.rules if str(row.number) != number]
    return replace(form, rules=[replace(row, number=i) for i, row in enumerate(kept)])


def check(workflow: Workflow, form: RetirementForm) -> RetirementForm:
    """The form with what is wrong beside its parts."""
    error: EsocsError | None = None
    try:
        _check_costs(form)
        check_criterion(form.criterion)
        get_mode(form.mode)
    except EsocsError as fault:
        error = fault
    return replace(form, rules=[_checked(workflow, row) for row in form.rules], error=error)


def _check_costs(form: RetirementForm) -> None:
    # Two empty costs would be read as "no costs given", and the subjects retired by a τ that nobody sees.
    if form.criteria == "consensus" and form.decided_by == "costs" and not any(map(form.numbers.get, COST_FIELDS)):
        raise InvalidRetirementError(
            "What do an error and a vote cost?", hint="Any unit will do: only how many votes an error is worth matters."
        )
    if form.criteria == "consensus" and form.decided_by == "costs":
        for name in COST_FIELDS:
            if _number(form.numbers[name]) == 0:
                raise InvalidRetirementError("A cost of 0 decides nothing.", hint="Give two numbers above 0.")


def _checked(workflow: Workflow, row: RuleRow) -> RuleRow:
    for blank in row.template.blanks:
        if blank.kind == "subject_set" and not row.typed.get(blank.name):
            return replace(row, error=InvalidRetirementError("Which set is it to be added to?", hint="Choose one."))
    try:
        build_rules(workflow, [row.request])
    except EsocsError as fault:
        return replace(row, error=fault)
    return row


def preview(workflow: Workflow, form: RetirementForm) -> Preview:
    """What a form without faults would change."""
    return preview_retirement(workflow=workflow, criterion=form.criterion, requests=form.requests)


@transaction.atomic
def save(workflow: Workflow, form: RetirementForm, *, author: User | None) -> bool:
    """Set what a form without faults asks for. Returns whether it changed when subjects retire.

    Raises:
        InvalidRetirementError: somebody else has changed it since the form was made.
    """
    locked = Workflow.objects.select_for_update().get(pk=workflow.pk)
    rows = _active_rules(locked)
    if form.based_on != _digest(locked, rows):
        raise InvalidRetirementError(
            "Somebody has changed the setting since you opened this page.",
            hint="The history below says what it is now. Save once more to put yours in its place.",
        )
    change_mode(locked, form.mode)
    before = [(row.template, row.options) for row in rows]
    after = [(rule.template, rule.options) for rule, _ in build_rules(locked, form.requests)]
    if before == after and locked.retirement == form.criterion:
        return False
    change_retirement(workflow=locked, criterion=form.criterion, requests=form.requests, author=author)
    return True


def change_mode(workflow: Workflow, name: str) -> None:
    """Choose how votes are weighed; the next fit, within a minute of the next classification, follows it.

    Raises:
        UnknownModeError: no such mode.
    """
    mode = get_mode(name)
    if workflow.consensus_mode != mode.name:
        workflow.consensus_mode = mode.name
        workflow.save(update_fields=["consensus_mode", "updated_at"])


def refresh(workflow: Workflow, form: RetirementForm) -> RetirementForm:
    """The form, now based on what is set at this moment."""
    return replace(form, based_on=_digest(workflow, _active_rules(workflow)))


def sentence_parts(workflow: Workflow, row: RuleRow, sets: Sequence[tuple[str, str]]) -> list[str | Field]:
    """A rule's sentence as texts and blanks in turn.

    Args:
        workflow: whose answers may be chosen.
        row: the rule.
        sets: id and name of the sets that a subject may be added to.
    """
    labels = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    answers = [(str(i), label) for i, label in enumerate(labels)]
    blanks = {blank.name: blank for blank in row.template.blanks}
    parts: list[str | Field] = []
    for i, piece in enumerate(BLANK.split(row.template.sentence)):
        if i % 2 == 0:
            parts.append(piece)
            continue
        blank = blanks[piece]
        choices = {"answer": answers, "subject_set": [("", "choose a set"), *sets]}.get(blank.kind, ())
        parts.append(
            Field(
                blank=blank, id=f"rule-{row.number}-{blank.name}", value=row.typed.get(blank.name, ""), choices=choices
            )
        )
    return parts


def list_target_sets(workflow: Workflow) -> list[tuple[str, str]]:
    """The project's sets that this workflow does not ask about: where a rule may add a subject."""
    sets = SubjectSet.objects.filter(project=workflow.project_id).exclude(workflows=workflow).order_by("display_name")
    return [(str(pk), name) for pk, name in sets.values_list("pk", "display_name")]


def _active_rules(workflow: Workflow) -> list[SubjectRule]:
    """Those that the form can show; rules written through Caesar's API are changed there."""
    rows = SubjectRule.objects.filter(workflow=workflow, active=True).exclude(template="")
    return list(rows.order_by("position", "id"))


def _digest(workflow: Workflow, rules: Sequence[SubjectRule]) -> str:
    setting = [workflow.retirement, workflow.consensus_mode, [[row.template, row.options, row.pk] for row in rules]]
    return hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:16]


def _whole(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) <= 9 else text


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
