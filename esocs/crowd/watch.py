"""Watches the blind audit: when its answers contradict the promised error, the machine's thresholds are withdrawn.

The audited are subjects drawn by chance whom volunteers answered blind. Of those that the policy in force would have
accepted, an error counts once an expert has confirmed it: volunteers err more often than the machine promises to, and
an alarm must not fire because they do (docs/decisions/0017). Evidence is about a model version: a policy made anew for
the same version is watched on all that its version was audited on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import F, Min, OuterRef, Q, Subquery
from django.db.models.functions import Now

from classifier.audit import AuditAlarm, watch_audit
from esocs.crowd.answers import gold_answers
from esocs.crowd.models import Classification, SubjectStatus
from esocs.machine.models import Route, RoutingPolicy, Threshold
from esocs.machine.queries import list_policies_in_force
from esocs.machine.withdrawal import withdraw_policy
from esocs.projects.models import Workflow
from esocs.projects.rules import list_questions

MOST_NAMED = 100
"""So many of the subjects that the machine had wrong are named in the evidence."""

MOST_STEPS = 200
"""Of the wealth's path so many steps are kept, the last and the one at which the alarm fired among them."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What the blind audit says of a policy.

    Attributes:
        policy: the policy.
        thresholds: its thresholds, in the order of their numbers: the groups of the alarm.
        alarm: on the audited in the order in which each was first answered.
        subject_ids: (n,) in that order.
        wrong: (n,) whether an expert found the machine's answer wrong.
        settled: how many of them experts or agreeing volunteers have settled; the others count as no error so far.
        unconfirmed: statuses on which volunteers disagree with the machine and no expert has answered.
    """

    policy: RoutingPolicy
    thresholds: list[Threshold]
    alarm: AuditAlarm
    subject_ids: list[int]
    wrong: list[bool]
    settled: int
    unconfirmed: list[int]

    def as_json(self) -> dict[str, Any]:
        """The evidence that is kept with the policy."""
        return {
            "audited": self.alarm.count,
            "settled": self.settled,
            "unconfirmed": len(self.unconfirmed),
            "errors": self.alarm.errors,
            "fired_at": self.alarm.fired_at,
            "p_value": self.alarm.p_value,
            "delta": self.alarm.delta,
            "thresholds": [
                {
                    "number": self.thresholds[group.group].number,
                    "strata": self.thresholds[group.group].strata,
                    "answer": self.thresholds[group.group].answer,
                    "alpha": self.thresholds[group.group].alpha,
                    "audited": group.count,
                    "errors": group.errors,
                    "log10_wealth": round(group.log_wealth / math.log(10), 4),
                }
                for group in self.alarm.groups
            ],
            "path": self._path(),
            "wrong_subjects": [pk for pk, wrong in zip(self.subject_ids, self.wrong, strict=True) if wrong][
                :MOST_NAMED
            ],
        }

    def _path(self) -> list[list[float]]:
        """[answers, log10 of the wealth] from the first answer to the last."""
        count = self.alarm.count
        chosen = {*np.linspace(1, count, min(count, MOST_STEPS)).round().astype(int).tolist(), self.alarm.fired_at or 1}
        steps = sorted(chosen) if count else []
        return [[step, round(float(self.alarm.log_wealth[step - 1]) / math.log(10), 4)] for step in steps]


def read_audit(policy: RoutingPolicy) -> Audit:
    """The audit of a policy as it stands now.

    The order is that of the first answers, which nobody chose for what the answer would turn out to be: in the order in
    which errors are confirmed these would come last and in a row, and give alarm without cause.
    """
    workflow = policy.model_version.workflow
    thresholds = list(policy.thresholds.order_by("number"))
    place = {threshold.pk: i for i, threshold in enumerate(thresholds)}
    questions = list_questions(workflow.tasks, workflow.first_task)
    gold = gold_answers(workflow, questions[0]) if questions else {}
    rows = sorted(_audited(policy, workflow), key=lambda row: row["first_answer"])
    wrong, unconfirmed, settled = [], [], 0
    for row in rows:
        truth = gold.get(row["subject_id"])
        agrees = row["retired_answer"] == row["answer"]
        wrong.append(truth is not None and truth != row["answer"])
        settled += truth is not None or (row["state"] == SubjectStatus.State.RETIRED and agrees)
        if truth is None and row["state"] == SubjectStatus.State.RETIRED and not agrees:
            unconfirmed.append(row["status_id"])
    groups = np.array([place[row["threshold_id"]] for row in rows], dtype=np.int64)
    alphas = np.array([threshold.alpha for threshold in thresholds])
    return Audit(
        policy=policy,
        thresholds=thresholds,
        alarm=watch_audit(
            wrong,
            alpha=alphas[groups] if rows else policy.alpha,
            delta=policy.alarm_delta,
            groups=groups,
            n_groups=len(thresholds),
        ),
        subject_ids=[row["subject_id"] for row in rows],
        wrong=wrong,
        settled=settled,
        unconfirmed=unconfirmed,
    )


def _audited(policy: RoutingPolicy, workflow: Workflow) -> Iterator[Mapping[str, Any]]:
    """What the policy would have accepted among the subjects that volunteers answer blind, once one has."""
    first = (
        Classification.objects.filter(workflow=workflow, subject_id=OuterRef("prediction__subject_id"))
        .order_by()
        .values("subject_id")
        .annotate(first=Min("id"))
        .values("first")
    )
    blind = Q(
        prediction__subject__statuses__workflow=workflow,
        prediction__subject__statuses__blind=True,
        prediction__subject__statuses__audience=SubjectStatus.Audience.VOLUNTEERS,
    )
    rows = (
        Route.objects.filter(blind, policy=policy, acceptable=True, threshold__isnull=False)
        .annotate(first_answer=Subquery(first))
        .filter(first_answer__isnull=False)
        .values(
            "answer",
            "threshold_id",
            "first_answer",
            subject_id=F("prediction__subject_id"),
            status_id=F("prediction__subject__statuses__id"),
            state=F("prediction__subject__statuses__state"),
            retired_answer=F("prediction__subject__statuses__retired_answer"),
        )
    )
    yield from rows.iterator()


def list_watched() -> list[RoutingPolicy]:
    """The policy in force of every workflow, unless it is withdrawn."""
    return [policy for policy in list_policies_in_force() if policy.state == RoutingPolicy.State.ACTIVE]


def watch_policy(policy: RoutingPolicy) -> Callable[[], None]:
    """The effect that asks experts about unconfirmed errors, and withdraws the policy if the alarm fires."""
    audit = read_audit(policy)

    def write() -> None:
        SubjectStatus.objects.filter(pk__in=audit.unconfirmed, review="").update(
            review=SubjectStatus.Review.DISAGREES, updated_at=Now()
        )
        found = audit.as_json()
        if found != policy.alarm:
            # What was found before a withdrawal is its evidence, and stays.
            in_force = RoutingPolicy.objects.filter(pk=policy.pk, state=RoutingPolicy.State.ACTIVE)
            in_force.update(alarm=found, watched_at=Now())
        if audit.alarm.withdrawn:
            withdraw_policy(policy, because=describe(audit))

    return write


def describe(audit: Audit) -> str:
    """Why the alarm fired, in a sentence."""
    alarm = audit.alarm
    text = (
        f"Experts found {alarm.errors} error{'' if alarm.errors == 1 else 's'} among {alarm.count} audited subjects "
        f"that it would have accepted, where at most {audit.policy.alpha:.2%} were promised "
        f"(anytime-valid p {alarm.p_value:.2g})."
    )
    worst = max(alarm.groups, key=lambda group: group.log_wealth, default=None)
    if worst is not None and worst.log_wealth > 0:
        named = ", ".join(name or "not stated" for name in audit.thresholds[worst.group].strata)
        text += f" Most of it speaks against {named}: {worst.errors} of {worst.count}."
    return text
