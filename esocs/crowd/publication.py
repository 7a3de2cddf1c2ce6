"""Routed subjects become open to volunteers or experts: their pictures exist, their consensus starts at its prior."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import numpy as np
from django.db.models import Count, QuerySet

from classifier.calibration import apply_temperature
from esocs.crowd import posterior
from esocs.crowd.budget import PUBLISHED
from esocs.crowd.epochs import EpochStart, ensure_epoch
from esocs.crowd.models import Consensus, GoldStandard, SubjectStatus
from esocs.jobs.services import enqueue_many
from esocs.machine.models import ModelVersion, ReservedSubject, Route
from esocs.projects.models import SetMemberSubject, Subject, SubjectSet, Workflow
from esocs.projects.rules import count_answers
from esocs.projects.services import render_subjects

SUBJECTS_PER_JOB = 250


def order_expert_tasks(workflow_id: int, subject_ids: list[int]) -> list[int]:
    """Order the reserved subjects' pictures and their place in the experts' queue. Returns the jobs' ids."""
    ids = sorted(subject_ids)
    items = [
        (
            f"workflow/{workflow_id}/reserved/{start}",
            {"workflow_id": workflow_id, "subject_ids": ids[start : start + SUBJECTS_PER_JOB]},
        )
        for start in range(0, len(ids), SUBJECTS_PER_JOB)
    ]
    return enqueue_many("crowd.publish", items=items, group=f"reserve/{workflow_id}")


def publish_for_experts(*, workflow: Workflow, subject_ids: Iterable[int]) -> Callable[[], None]:
    """Prepare subjects for the experts' queue (seed and calibration samples): render, then return the effect."""
    subjects = list(Subject.objects.filter(id__in=list(subject_ids)).select_related("plane__shard", "plane__product"))
    keep_pictures = render_subjects(subjects)

    def write() -> None:
        keep_pictures()
        statuses = [
            SubjectStatus(workflow=workflow, subject=subject, audience=SubjectStatus.Audience.EXPERTS, blind=True)
            for subject in subjects
        ]
        SubjectStatus.objects.bulk_create(statuses, ignore_conflicts=True, batch_size=2000)

    return write


def publish_routes(*, workflow: Workflow, routes: QuerySet[Route]) -> Callable[[], None]:
    """Prepare the routed subjects that people are to be asked about: render, then return the effect.

    A subject that already has a status keeps it: a new policy does not take back what volunteers began.
    """
    known = SubjectStatus.objects.filter(workflow=workflow).values("subject_id")
    wanted = list(
        routes.filter(decision__in=PUBLISHED)
        .exclude(prediction__subject_id__in=known)
        .select_related("prediction__model_version", "prediction__subject__plane__shard")
        .select_related("prediction__subject__plane__product")
        .order_by("id")
    )
    keep_pictures = render_subjects([route.prediction.subject for route in wanted])
    priors = _machine_priors(workflow, wanted)

    def write() -> None:
        keep_pictures()
        start = ensure_epoch(workflow)
        SubjectStatus.objects.bulk_create(
            [_status(workflow, route, prior, start) for route, prior in zip(wanted, priors, strict=True)],
            ignore_conflicts=True,
            batch_size=2000,
        )
        _start_consensus(workflow, start, [route.prediction.subject_id for route in wanted])

    return write


def add_to_set(*, subject_set: SubjectSet, subject_id: int) -> Callable[[], None]:
    """Prepare a subject for the workflows of another set: render, then return the effect that opens it."""
    subject = Subject.objects.select_related("plane__shard", "plane__product").get(pk=subject_id)
    keep_pictures = render_subjects([subject] if subject.plane_id else [])

    def write() -> None:
        keep_pictures()
        SetMemberSubject.objects.get_or_create(subject_set=subject_set, subject=subject)
        for workflow in subject_set.workflows.filter(active=True, subject_kind=subject.kind):
            start = ensure_epoch(workflow)
            SubjectStatus.objects.get_or_create(
                workflow=workflow, subject=subject, defaults={"epoch_id": start.epoch_id}
            )
            _start_consensus(workflow, start, [subject.pk])

    return write


def _status(workflow: Workflow, route: Route, prior: list[int] | None, start: EpochStart) -> SubjectStatus:
    experts = route.decision == Route.Decision.EXPERTS
    audit = route.decision == Route.Decision.AUDIT
    # What is expected to teach most comes first; the blind audit is spread evenly among it, or it would be last.
    most_bits = np.log2(count_answers(workflow.tasks, workflow.first_task))
    bits = random.Random(route.pk).uniform(0.0, float(most_bits)) if audit else route.information_bits  # noqa: S311
    return SubjectStatus(
        workflow=workflow,
        subject_id=route.prediction.subject_id,
        route=route,
        audience=SubjectStatus.Audience.EXPERTS if experts else SubjectStatus.Audience.VOLUNTEERS,
        blind=audit,
        machine_answer=None if prior is None else route.answer,
        machine_prior=prior,
        priority=-bits,
        epoch_id=start.epoch_id,
    )


def _start_consensus(workflow: Workflow, start: EpochStart, subject_ids: list[int]) -> None:
    """Every published subject has a consensus from the first moment: its prior."""
    rows = []
    for status in SubjectStatus.objects.filter(workflow=workflow, subject_id__in=subject_ids, consensus__isnull=True):
        heard = posterior.opinion_in(
            status.machine_prior, first=True, n_answers=len(start.log_prior), kind=start.read_out
        )
        sums = list(heard or start.log_prior)
        if not start.log_prior or not sums:
            continue  # the first task is no single choice: what it asks is summed from the first answer on
        probabilities = posterior.read_out(sums, start.temper, votes=0, kind=start.read_out, opinion=heard)
        best = max(range(len(sums)), key=sums.__getitem__)
        rows.append(
            Consensus(
                status=status,
                task_key=workflow.first_task,
                log_posterior=sums,
                answer_counts=[0] * len(sums),
                answer=best,
                probability=probabilities[best],
            )
        )
    Consensus.objects.bulk_create(rows, ignore_conflicts=True, batch_size=2000)


def _machine_priors(workflow: Workflow, routes: list[Route]) -> list[list[int] | None]:
    """Each route's fixed-point machine prior; None where the machine must be silent.

    Silent in the blind audit, on what the model was trained on, where it is out of its distribution, and on what was
    accepted until the alarm said that the machine errs there more often than it was believed.
    """
    if not routes:
        return []
    model = routes[0].prediction.model_version
    trained_on = _trained_on(model)
    probabilities = apply_temperature(
        np.array([route.prediction.probabilities for route in routes]), model.temperature or 1.0
    )
    log_priors = posterior.machine_log_prior(
        probabilities, class_prior=class_prior(workflow), training_prior=np.array(model.training_prior)
    )
    fixed = posterior.to_fixed(log_priors)
    return [
        None
        if route.decision == Route.Decision.AUDIT
        or route.reason in {"out_of_distribution", "withdrawn"}
        or route.prediction.subject_id in trained_on
        else [int(units) for units in row]
        for route, row in zip(routes, fixed, strict=True)
    ]


def _trained_on(model: ModelVersion) -> set[int]:
    """The subjects this model was trained on, from its card: the training room stands above this one."""
    return set(model.card.get("trained_on", []))


def class_prior(workflow: Workflow) -> np.ndarray:
    """How frequent each answer is: gold shares of the uniformly random reserved sample, one added to each count."""
    n_answers = count_answers(workflow.tasks, workflow.first_task)
    counts = np.ones(n_answers)
    reserved = ReservedSubject.objects.filter(workflow=workflow).values("subject_id")
    gold = GoldStandard.objects.filter(
        workflow=workflow, task_key=workflow.first_task, answer__lt=n_answers, subject_id__in=reserved
    )
    for answer, n in gold.values_list("answer").annotate(n=Count("id")).order_by():
        counts[answer] += n
    return np.asarray(counts / counts.sum())
