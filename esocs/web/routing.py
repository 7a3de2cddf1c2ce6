"""What the machine may accept alone, whether the audit still agrees, and what the day's votes are spent on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from esocs.crowd.budget import Budget, get_budget
from esocs.crowd.figures import read_figures
from esocs.machine.models import ModelVersion, RoutingPolicy, Threshold
from esocs.machine.queries import policy_in_force
from esocs.machine.rules import InvalidRoutingError, read_settings
from esocs.projects.models import Workflow
from esocs.projects.rules import answer_labels


@dataclass(frozen=True, kw_only=True)
class ThresholdLine:
    """A threshold in the table: whose it is, and what the audit has found since.

    Attributes:
        threshold: the row.
        group: its strata and answer in words.
        audited: audited subjects of the group; None before the audit was first looked at.
        errors: how many of them experts found wrong.
    """

    threshold: Threshold
    group: str
    audited: int | None
    errors: int | None


@dataclass(frozen=True, kw_only=True)
class Wealth:
    """The alarm's path as a picture of 100 × 100: what one who bets against the promise has made of 1."""

    path: str
    limit: float
    one: float
    top: str
    bottom: str
    last: int


@dataclass(frozen=True, kw_only=True)
class RoutingPage:
    """One workflow's routing.

    Attributes:
        champion: the model in force, if there is one.
        policy: the one in force; the champion's, or until it has one that of the machine before.
        lines: the policy's thresholds.
        routes: how many subjects it sends where.
        audit: what the audit said when it was looked at last.
        wealth: its picture, once somebody was audited.
        budget: today's votes; None where they are not budgeted.
        fault: why the workflow's settings cannot be followed; empty where they can.
        changed: the settings ask for other levels or strata than the policy has.
    """

    champion: ModelVersion | None
    policy: RoutingPolicy | None
    lines: list[ThresholdLine]
    routes: dict[str, int]
    audit: dict[str, Any] | None
    wealth: Wealth | None
    budget: Budget | None
    fault: str
    changed: bool


def read_routing(workflow: Workflow) -> RoutingPage:
    """The page's numbers, in a fixed number of statements."""
    champion = ModelVersion.objects.filter(workflow=workflow, state=ModelVersion.State.CHAMPION).first()
    policy = policy_in_force(workflow)
    fault, budget, changed = "", None, False
    labels = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    try:
        demanded = read_settings(workflow.routing, answers=champion.class_names if champion else labels)
    except InvalidRoutingError as error:
        fault = str(error)
    else:
        budget = get_budget(workflow) if demanded.votes_per_day is not None else None
        names = ("alpha", "delta", "alarm_delta", "audit_share", "ood_p_min", "stratify_by")
        changed = policy is not None and any(getattr(demanded, name) != getattr(policy, name) for name in names)
    return RoutingPage(
        champion=champion,
        policy=policy,
        lines=_lines(policy, policy.model_version.class_names) if policy else [],
        routes=read_figures(workflow, "routes").value,
        audit=policy.alarm if policy else None,
        wealth=_draw(policy.alarm, delta=policy.alarm_delta) if policy and policy.alarm else None,
        budget=budget,
        fault=fault,
        changed=changed,
    )


def name_group(threshold: Threshold, *, stratified: bool, class_names: list[str]) -> str:
    """A threshold's strata and answer in words."""
    strata = ", ".join(name or "not stated" for name in threshold.strata) if stratified else "Everything"
    if threshold.answer is None:
        return strata
    return f"{class_names[threshold.answer]}, {strata}" if stratified else class_names[threshold.answer]


def _lines(policy: RoutingPolicy, class_names: list[str]) -> list[ThresholdLine]:
    found = {row["number"]: row for row in (policy.alarm or {}).get("thresholds", [])}
    thresholds = list(policy.thresholds.defer("steps").order_by("number"))
    if len(thresholds) == 1 and policy.alarm:
        found = {thresholds[0].number: policy.alarm}
    return [
        ThresholdLine(
            threshold=row,
            group=name_group(row, stratified=bool(policy.stratify_by), class_names=class_names),
            audited=found[row.number]["audited"] if row.number in found else None,
            errors=found[row.number]["errors"] if row.number in found else None,
        )
        for row in thresholds
    ]


def _draw(audit: dict[str, Any], *, delta: float) -> Wealth | None:
    """The path on a logarithmic axis; the limit is 1 / delta."""
    steps: list[tuple[int, float]] = [(int(step), float(value)) for step, value in audit.get("path") or []]
    if not steps:
        return None
    limit = -math.log10(delta)
    # Far beyond the limit there is nothing to read.
    values = [min(value, limit + 1) for _, value in steps]
    low, high = math.floor(min(-1.0, *values)), max(math.ceil(limit), *values)
    last = steps[-1][0]

    def y(value: float) -> float:
        return 100 * (high - value) / (high - low)

    points = [f"{100 * step / last:.2f} {y(value):.2f}" for (step, _), value in zip(steps, values, strict=True)]
    return Wealth(
        path=f"M0 {y(0):.2f}L" + "L".join(points),
        limit=y(limit),
        one=y(0),
        top=f"{10**high:,.0f}",
        bottom=f"{10.0**low:g}",
        last=last,
    )
