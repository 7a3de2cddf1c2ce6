"""What the demonstration reports at its end. The only place where the pipeline's answers meet the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from esocs.crowd.models import Classification, Consensus, SubjectStatus
from esocs.crowd.queries import summarise_workflow
from esocs.demo.survey import read_truth
from esocs.demo.walk import Stage
from esocs.machine.models import ModelVersion, Route, RoutingPolicy
from esocs.projects.models import Subject, Workflow
from esocs.projects.rules import answer_labels
from esocs.training.models import Comparison

DECISIONS = tuple(Route.Decision.values)


@dataclass(frozen=True, kw_only=True)
class Share:
    """right of total."""

    right: int
    total: int

    def __str__(self) -> str:
        if not self.total:
            return "none"
        return f"{self.right / self.total:6.2%} of {self.total:,}"


def summarise(stage: Stage, exports: dict[str, Path]) -> str:
    """The summary as text."""
    truth = {row.dp_id: row.class_name for row in read_truth(stage.truth_path)}
    lines = []
    for workflow in stage.workflows:
        kind = "images" if workflow.subject_kind == "image" else "spectra"
        lines += ["", f"{workflow} ({kind})", *_workflow_lines(workflow, truth)]
    lines += ["", "Exports"]
    lines += [f"  {kind:16s} {path}" for kind, path in exports.items()]
    return "\n".join(lines)


def _workflow_lines(workflow: Workflow, truth: dict[str, str]) -> list[str]:
    labels = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    true_answer = {
        pk: labels.index(truth[dp_id])
        for pk, dp_id in Subject.objects.filter(set_members__subject_set__workflows=workflow).values_list(
            "id", "plane__product__dp_id"
        )
        if truth.get(dp_id) in labels
    }
    policy = _first_policy(workflow)
    counted = summarise_workflow(workflow)
    votes = Classification.objects.filter(workflow=workflow, gold_standard=False).count()
    gold = Classification.objects.filter(workflow=workflow, gold_standard=True).count()
    lines = [f"  subjects              {counted.subjects:,}"]
    if policy is not None:
        lines.append(f"  routes                {_routes(policy)}")
        accepted = _accepted(policy, true_answer)
        promise = f"promised: at most {policy.alpha:.1%} wrong, with {1 - policy.delta:.0%} confidence"
        lines.append(f"  accepted, right       {accepted}  ({promise})")
    per_subject = votes / counted.published if counted.published else 0.0
    lines.append(
        f"  votes spent           {votes:,} by {counted.volunteers} volunteers, {per_subject:.1f} a published subject;"
        f" {gold:,} expert answers"
    )
    lines.append(f"  consensus, right      {_consensus(workflow, true_answer)} retired by consensus")
    lines.append(f"  majority, right       {_majority(workflow, true_answer)} of the same, for comparison")
    lines.append(
        f"  contested             {SubjectStatus.objects.filter(**_contested(workflow)).count():,} went to experts"
    )
    lines += _model_lines(workflow)
    return lines


def _first_policy(workflow: Workflow) -> RoutingPolicy | None:
    """The policy that decided who was asked: the first champion's."""
    return RoutingPolicy.objects.filter(model_version__workflow=workflow, routes__isnull=False).order_by("id").first()


def _routes(policy: RoutingPolicy) -> str:
    """How many subjects went where; those set aside for experts from the start are told apart."""
    rows = Route.objects.filter(policy=policy)
    reserved = rows.filter(reason="reserved").count()
    counts = {decision: rows.filter(decision=decision).exclude(reason="reserved").count() for decision in DECISIONS}
    told = ", ".join(f"{n:,} {decision}" for decision, n in counts.items())
    return f"{told}; {reserved:,} were reserved for experts beforehand"


def _accepted(policy: RoutingPolicy, true_answer: dict[int, int]) -> Share:
    rows = Route.objects.filter(policy=policy, decision=Route.Decision.ACCEPT)
    pairs = [
        (true_answer[pk], a) for pk, a in rows.values_list("prediction__subject_id", "answer") if pk in true_answer
    ]
    return Share(right=sum(t == a for t, a in pairs), total=len(pairs))


def _retired(workflow: Workflow) -> list[tuple[int, int, list[int]]]:
    rows = Consensus.objects.filter(
        task_key=workflow.first_task, status__workflow=workflow, status__retirement_reason="consensus"
    )
    return list(rows.values_list("status__subject_id", "answer", "answer_counts"))


def _consensus(workflow: Workflow, true_answer: dict[int, int]) -> Share:
    pairs = [(true_answer[pk], answer) for pk, answer, _ in _retired(workflow) if pk in true_answer]
    return Share(right=sum(t == a for t, a in pairs), total=len(pairs))


def _majority(workflow: Workflow, true_answer: dict[int, int]) -> Share:
    pairs = [
        (true_answer[pk], max(range(len(votes)), key=votes.__getitem__))
        for pk, _, votes in _retired(workflow)
        if pk in true_answer
    ]
    return Share(right=sum(t == a for t, a in pairs), total=len(pairs))


def _contested(workflow: Workflow) -> dict[str, object]:
    return {"workflow": workflow, "route__decision__in": ["volunteers", "audit"], "audience": "experts"}


def _model_lines(workflow: Workflow) -> list[str]:
    lines = []
    for model in ModelVersion.objects.filter(workflow=workflow).order_by("number"):
        comparison = Comparison.objects.filter(challenger=model).first()
        if comparison is None:
            continue
        right = 1 - comparison.challenger_errors / comparison.blind_subjects
        size = model.card.get("subjects", 0)
        lines.append(
            f"  model v{model.number}              {right:.2%} right on {comparison.blind_subjects:,} blind subjects,"
            f" trained on {size:,}; {comparison.verdict}: {comparison.reason}"
        )
    champion = ModelVersion.objects.filter(workflow=workflow, state=ModelVersion.State.CHAMPION).first()
    lines.append(f"  champion now          v{champion.number}" if champion else "  champion now          none")
    return lines
