"""Routing: thresholds certified on the reserved sample, and the decision on every prediction (DESIGN §5 Routing)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from django.db import transaction

from classifier.calibration import apply_temperature, fit_temperature
from classifier.errors import EsocsError
from classifier.selection import CalibrationSample, expected_information
from classifier.strata import Group, Scored, assign, certify_groups, divide
from esocs.jobs.services import enqueue_many
from esocs.machine import handover, queries, rules, withdrawal
from esocs.machine.models import ModelVersion, Prediction, ReservedSubject, Route, RoutingPolicy, Threshold

ROUTES_PER_JOB = 1000


class NotCalibratedError(EsocsError):
    """The model version has no routing policy yet."""

    code = "not_calibrated"
    status = 409


def set_policy(*, model: ModelVersion, answers: dict[int, int]) -> RoutingPolicy:
    """Fit the temperature and certify the accept thresholds on the reserved, blind sample.

    Args:
        model: whose predictions exist for the sample.
        answers: subject id → the experts' answer, for the workflow's reserved calibration sample.

    Raises:
        InvalidRoutingError: the workflow's settings cannot be followed.
        EsocsError: `calibration_contaminated` when the model has seen one of them, and others of
            `classifier.selection`.
    """
    workflow = model.workflow
    demanded = rules.read_settings(workflow.routing, answers=model.class_names)
    reserved = set(
        ReservedSubject.objects.filter(
            workflow=workflow, purpose=ReservedSubject.Purpose.CALIBRATION, subject_id__in=answers
        ).values_list("subject_id", flat=True)
    )
    table = queries.read_predictions(model, subject_ids=sorted(reserved))
    truth = np.array([answers[int(pk)] for pk in table.subject_ids], dtype=np.int64)
    thresholds = _certify(model, table, truth, demanded)
    temperature = fit_temperature(table.probabilities, truth).value
    with transaction.atomic():
        ModelVersion.objects.filter(pk=model.pk).update(temperature=temperature)
        model.temperature = temperature
        policy = RoutingPolicy.objects.create(
            model_version=model,
            number=RoutingPolicy.objects.filter(model_version=model).count() + 1,
            alpha=demanded.alpha,
            delta=demanded.delta,
            alarm_delta=demanded.alarm_delta,
            stratify_by=demanded.stratify_by,
            audit_share=demanded.audit_share,
            ood_p_min=demanded.ood_p_min,
            calibrated_on=len(truth),
        )
        for threshold in thresholds:
            threshold.policy = policy
        Threshold.objects.bulk_create(thresholds)
        return policy


def _certify(
    model: ModelVersion, table: queries.PredictionTable, truth: np.ndarray, demanded: rules.RoutingSettings
) -> list[Threshold]:
    """A threshold for each stratum that is large enough and for each answer with an alpha of its own."""
    scored = _scored(model, table, demanded)
    sample = CalibrationSample(
        subject_ids=table.subject_ids,
        scores=scored.scores,
        correct=scored.answers == truth,
        model_version=str(model.pk),
        reserved_for=str(model.pk),
    )
    groups = divide(
        scored,
        alpha=demanded.alpha,
        delta=demanded.delta,
        alpha_by_answer=demanded.alphas(model.class_names),
    )
    # The grids come from subjects that are not in the sample: they may not depend on the labels, nor on their scores.
    pool = queries.read_pool(model, leave_out=table.subject_ids)
    certificates = certify_groups(
        sample,
        scored,
        groups=groups,
        delta=demanded.delta,
        trained_ids=model.card.get("trained_on", []),
        pool=_scored(model, pool, demanded) if len(pool.ids) else None,
    )
    return [
        Threshold(
            number=number,
            strata=list(group.strata),
            answer=group.answer,
            alpha=group.alpha,
            delta=certificate.delta,
            value=certificate.threshold,
            sample_size=certificate.sample_size,
            accepted=certificate.accepted,
            errors=certificate.errors,
            steps=[[step.threshold, step.accepted, step.errors, step.p_value] for step in certificate.steps],
        )
        for number, (group, certificate) in enumerate(zip(groups, certificates, strict=True))
    ]


def _scored(model: ModelVersion, table: queries.PredictionTable, demanded: rules.RoutingSettings) -> Scored:
    return Scored(
        scores=queries.acceptance_scores(model, table, ood_p_min=demanded.ood_p_min),
        answers=table.probabilities.argmax(axis=1),
        strata=queries.read_strata(table.subject_ids.tolist(), stratify_by=demanded.stratify_by),
    )


def find_thresholds(
    policy: RoutingPolicy, *, subject_ids: Sequence[int], answers: Sequence[int]
) -> list[Threshold | None]:
    """The threshold that each prediction is compared with; None where its stratum was not in the sample."""
    thresholds = list(policy.thresholds.order_by("number"))
    groups = [
        Group(strata=tuple(row.strata), answer=row.answer, alpha=row.alpha, sample_size=row.sample_size)
        for row in thresholds
    ]
    strata = queries.read_strata(subject_ids, stratify_by=policy.stratify_by)
    return [thresholds[i] if i >= 0 else None for i in assign(groups, answers=answers, strata=strata)]


def order_routes(policy: RoutingPolicy) -> list[int]:
    """Order a route for every prediction of the policy's model that has none. Returns the jobs' ids."""
    predictions = Prediction.objects.filter(model_version=policy.model_version_id).exclude(routes__policy=policy)
    ids = list(predictions.order_by("id").values_list("id", flat=True))
    items = [
        (
            f"policy/{policy.pk}/{ids[start]}-{ids[min(start + ROUTES_PER_JOB, len(ids)) - 1]}",
            {"policy_id": policy.pk, "first": ids[start], "last": ids[min(start + ROUTES_PER_JOB, len(ids)) - 1]},
        )
        for start in range(0, len(ids), ROUTES_PER_JOB)
    ]
    return enqueue_many("machine.route", items=items, group=handover.group_of(policy)) if items else []


def route_predictions(*, policy: RoutingPolicy, first: int, last: int) -> Callable[[], None]:
    """Decide on the predictions with ids first..last; the returned effect writes the routes and has them published."""
    model = policy.model_version
    table = queries.read_predictions(model, id_range=(first, last))
    reserved = set(ReservedSubject.objects.filter(workflow=model.workflow).values_list("subject_id", flat=True))
    ood_p = queries.in_distribution(model, table)
    calibrated = apply_temperature(table.probabilities, model.temperature or 1.0)
    bits = expected_information(calibrated)
    answers = table.probabilities.argmax(axis=1).tolist()
    thresholds = find_thresholds(policy, subject_ids=table.subject_ids.tolist(), answers=answers)
    routes = []
    for i, (answer, threshold) in enumerate(zip(answers, thresholds, strict=True)):
        subject_id = int(table.subject_ids[i])
        judged = rules.judge(
            score=float(table.probabilities[i, answer]),
            threshold=threshold.value if threshold else None,
            ood_p=float(ood_p[i]),
            ood_p_min=policy.ood_p_min,
            usable=bool(table.usable[i]),
            calibrated=threshold is not None,
        )
        decision, reason = rules.decide_route(
            judged,
            reserved=subject_id in reserved,
            audit=rules.audit_draw(subject_id, policy.pk) < policy.audit_share,
        )
        routes.append(
            Route(
                prediction_id=int(table.ids[i]),
                policy=policy,
                threshold=threshold,
                decision=decision,
                reason=reason,
                acceptable=judged[0] == "accept",
                answer=answer,
                score=float(table.probabilities[i, answer]),
                probability=float(calibrated[i, answer]),
                ood_p=float(ood_p[i]),
                ood_distance=None if np.isnan(table.strangeness[i]) else float(table.strangeness[i]),
                information_bits=float(bits[i]),
            )
        )

    def write() -> None:
        if not withdrawal.stands(policy):
            withdrawal.take_back(routes)
        Route.objects.bulk_create(routes, ignore_conflicts=True, batch_size=2000)
        handover.publish(policy, first=first, last=last)

    return write


def latest_policy(model: ModelVersion) -> RoutingPolicy:
    """The model's newest policy.

    Raises:
        NotCalibratedError: it was never calibrated.
    """
    policy = RoutingPolicy.objects.filter(model_version=model).order_by("-number").first()
    if policy is None:
        raise NotCalibratedError(f"{model} has no routing policy.", hint="Run `manage.py route`.")
    return policy
