"""Routing: thresholds certified on the reserved sample, and the decision on every prediction (DESIGN §5 Routing)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from django.db import transaction

from classifier.calibration import apply_temperature, fit_temperature
from classifier.errors import EsocsError
from classifier.selection import CalibrationSample, Certificate, certify_threshold, expected_information, grid_from_pool
from esocs.jobs.services import enqueue, enqueue_many
from esocs.machine import queries, rules
from esocs.machine.models import ModelVersion, Prediction, ReservedSubject, Route, RoutingPolicy

ROUTES_PER_JOB = 1000


class NotCalibratedError(EsocsError):
    """The model version has no routing policy yet."""

    code = "not_calibrated"
    status = 409


def set_policy(*, model: ModelVersion, answers: dict[int, int]) -> RoutingPolicy:
    """Fit the temperature and certify the accept threshold on the reserved, blind sample.

    Args:
        model: whose predictions exist for the sample.
        answers: subject id → the experts' answer, for the workflow's reserved calibration sample.

    Raises:
        EsocsError: `calibration_contaminated` when the model has seen one of them, and others of
            `classifier.selection`.
    """
    workflow = model.workflow
    demanded = rules.read_settings(workflow.routing)
    reserved = set(
        ReservedSubject.objects.filter(
            workflow=workflow, purpose=ReservedSubject.Purpose.CALIBRATION, subject_id__in=answers
        ).values_list("subject_id", flat=True)
    )
    table = queries.read_predictions(model, subject_ids=sorted(reserved))
    truth = np.array([answers[int(pk)] for pk in table.subject_ids])
    certificate = _certify(model, table, truth, demanded)
    temperature = fit_temperature(table.probabilities, truth).value
    with transaction.atomic():
        ModelVersion.objects.filter(pk=model.pk).update(temperature=temperature)
        model.temperature = temperature
        number = RoutingPolicy.objects.filter(model_version=model).count() + 1
        return RoutingPolicy.objects.create(
            model_version=model,
            number=number,
            alpha=demanded.alpha,
            delta=demanded.delta,
            threshold=certificate.threshold,
            audit_share=demanded.audit_share,
            ood_p_min=demanded.ood_p_min,
            calibrated_on=len(truth),
            evidence=certificate.as_json(),
        )


def _certify(
    model: ModelVersion, table: queries.PredictionTable, truth: np.ndarray, demanded: rules.RoutingSettings
) -> Certificate:
    sample = CalibrationSample(
        subject_ids=table.subject_ids,
        scores=queries.acceptance_scores(model, table, ood_p_min=demanded.ood_p_min),
        correct=table.probabilities.argmax(axis=1) == truth,
        model_version=str(model.pk),
        reserved_for=str(model.pk),
    )
    # The grid comes from subjects that are not in the sample: it may not depend on the labels, nor on their scores.
    pool = queries.read_pool(model, leave_out=table.subject_ids)
    grid = None
    if len(pool.ids):
        scores = queries.acceptance_scores(model, pool, ood_p_min=demanded.ood_p_min)
        grid = grid_from_pool(scores, sample_size=len(truth), alpha=demanded.alpha, delta=demanded.delta)
    return certify_threshold(
        sample, alpha=demanded.alpha, delta=demanded.delta, trained_ids=model.card.get("trained_on", []), grid=grid
    )


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
    return enqueue_many("machine.route", items=items, group=f"route/{policy.pk}") if items else []


def route_predictions(*, policy: RoutingPolicy, first: int, last: int) -> Callable[[], None]:
    """Decide on the predictions with ids first..last; the returned effect writes the routes and has them published."""
    model = policy.model_version
    table = queries.read_predictions(model, id_range=(first, last))
    reserved = set(ReservedSubject.objects.filter(workflow=model.workflow).values_list("subject_id", flat=True))
    known = queries.out_of_distribution(model)
    distances = known.distances(table.embeddings)
    ood_p = known.p_values_at(distances)
    calibrated = apply_temperature(table.probabilities, model.temperature or 1.0)
    bits = expected_information(calibrated)
    routes = []
    for i, prediction_id in enumerate(table.ids):
        subject_id = int(table.subject_ids[i])
        answer = int(table.probabilities[i].argmax())
        decision, reason = rules.decide_route(
            score=float(table.probabilities[i, answer]),
            threshold=policy.threshold if policy.state == RoutingPolicy.State.ACTIVE else None,
            ood_p=float(ood_p[i]),
            ood_p_min=policy.ood_p_min,
            usable=bool(table.usable[i]),
            reserved=subject_id in reserved,
            audit=rules.audit_draw(subject_id, policy.pk) < policy.audit_share,
        )
        routes.append(
            Route(
                prediction_id=int(prediction_id),
                policy=policy,
                decision=decision,
                reason=reason,
                answer=answer,
                score=float(table.probabilities[i, answer]),
                probability=float(calibrated[i, answer]),
                ood_p=float(ood_p[i]),
                ood_distance=float(distances[i]),
                information_bits=float(bits[i]),
            )
        )

    def write() -> None:
        Route.objects.bulk_create(routes, ignore_conflicts=True, batch_size=2000)
        payload = {
            "workflow_id": model.workflow_id,
            "policy_id": policy.pk,
            "first_prediction": first,
            "last_prediction": last,
        }
        enqueue("crowd.publish", key=f"policy/{policy.pk}/{first}-{last}", payload=payload, group=f"route/{policy.pk}")

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
