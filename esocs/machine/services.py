"""Writes of the machine room: reserved samples, model versions, predictions, policies and routes.

Torch is imported only inside the functions that run a network: those run in a gpu worker, never in the web process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Max

from classifier.calibration import apply_temperature, fit_temperature
from classifier.errors import EsocsError
from classifier.selection import CalibrationSample, Certificate, certify_threshold, expected_information, grid_from_pool
from classifier.shards import open_shard
from esocs.archive.models import Shard
from esocs.jobs.services import enqueue, enqueue_many
from esocs.machine import queries, rules
from esocs.machine.models import ModelVersion, Prediction, ReservedSubject, Route, RoutingPolicy
from esocs.projects.models import Subject, Workflow
from esocs.projects.services import subjects_of

if TYPE_CHECKING:
    from classifier.inference import Predictor

ROUTES_PER_JOB = 1000


class NoChampionError(EsocsError):
    """The workflow has no model yet."""

    code = "no_champion"
    status = 409


class NotCalibratedError(EsocsError):
    """The model version has no routing policy yet."""

    code = "not_calibrated"
    status = 409


class TooFewSubjectsError(EsocsError):
    """The workflow has fewer subjects than are to be reserved."""

    code = "too_few_subjects"
    status = 422


@transaction.atomic
def reserve_samples(*, workflow: Workflow, seed: int, calibration: int, random_seed: int = 0) -> dict[str, list[int]]:
    """Set aside uniformly random samples before active learning takes anything. Done once for a workflow.

    Args:
        workflow: whose subjects.
        seed: how many for the first training set.
        calibration: how many for calibration, blind and never trained on.
        random_seed: of the draw.

    Returns:
        Purpose → subject ids; those of the first call if there was one.

    Raises:
        TooFewSubjectsError: the workflow does not have that many.
    """
    Workflow.objects.select_for_update().get(pk=workflow.pk)
    reserved = ReservedSubject.objects.filter(workflow=workflow)
    if not reserved.exists():
        ids = np.array(list(subjects_of(workflow).order_by("id").values_list("id", flat=True)), dtype=np.int64)
        if len(ids) < seed + calibration:
            raise TooFewSubjectsError(
                f"{workflow} has {len(ids)} subjects; {seed + calibration} are to be reserved.",
                hint="Ingest more files, or reserve fewer.",
            )
        drawn = np.random.default_rng(random_seed).permutation(ids)[: seed + calibration].tolist()
        purposes = [ReservedSubject.Purpose.SEED] * seed + [ReservedSubject.Purpose.CALIBRATION] * calibration
        ReservedSubject.objects.bulk_create(
            [
                ReservedSubject(workflow=workflow, subject_id=pk, purpose=purpose)
                for pk, purpose in zip(drawn, purposes, strict=True)
            ],
            batch_size=2000,
        )
    by_purpose: dict[str, list[int]] = {purpose: [] for purpose in ReservedSubject.Purpose.values}
    for purpose, subject_id in reserved.order_by("id").values_list("purpose", "subject_id"):
        by_purpose[purpose].append(subject_id)
    return by_purpose


@transaction.atomic
def register_model(
    *,
    workflow: Workflow,
    weights_path: Path,
    weights_sha256: str,
    class_names: list[str],
    training_prior: list[float],
    card: dict[str, Any],
) -> ModelVersion:
    """Enter a trained network as the workflow's next candidate."""
    Workflow.objects.select_for_update().get(pk=workflow.pk)
    last = ModelVersion.objects.filter(workflow=workflow).aggregate(last=Max("number"))["last"] or 0
    return ModelVersion.objects.create(
        workflow=workflow,
        number=last + 1,
        class_names=class_names,
        weights_path=str(weights_path.relative_to(settings.WEIGHTS_ROOT)),
        weights_sha256=weights_sha256,
        training_prior=training_prior,
        card=card,
    )


@transaction.atomic
def promote(model: ModelVersion) -> None:
    """Make a model version the champion; the one before is retired. Also the way back: promote the older one."""
    Workflow.objects.select_for_update().get(pk=model.workflow_id)
    champions = ModelVersion.objects.filter(workflow=model.workflow_id, state=ModelVersion.State.CHAMPION)
    champions.exclude(pk=model.pk).update(state=ModelVersion.State.RETIRED)
    ModelVersion.objects.filter(pk=model.pk).update(state=ModelVersion.State.CHAMPION)


def get_champion(workflow: Workflow) -> ModelVersion:
    """The workflow's champion.

    Raises:
        NoChampionError: it has none yet.
    """
    champion = ModelVersion.objects.filter(workflow=workflow, state=ModelVersion.State.CHAMPION).first()
    if champion is None:
        raise NoChampionError(f"{workflow} has no model yet.", hint="Run `manage.py retrain` after experts labelled.")
    return champion


_predictors: dict[int, Predictor] = {}


def open_predictor(model: ModelVersion) -> Predictor:
    """The model's network, loaded once a process. A worker keeps the last one it used."""
    import torch

    from classifier.data import Question
    from classifier.inference import Predictor

    if model.pk not in _predictors:
        if settings.TORCH_THREADS:
            torch.set_num_threads(settings.TORCH_THREADS)
        questions = [Question(name=model.workflow.first_task, answers=tuple(model.class_names))]
        weights = [(settings.WEIGHTS_ROOT / model.weights_path, model.weights_sha256)]
        _predictors.clear()
        _predictors[model.pk] = Predictor.open(weights, questions=questions, views=model.card.get("views", 1))
    return _predictors[model.pk]


def order_predictions(model: ModelVersion) -> list[int]:
    """Order predictions for every subject of the workflow, one job a shard. Returns the jobs' ids."""
    shards = (
        Shard.objects.filter(planes__subjects__in=subjects_of(model.workflow))
        .distinct()
        .order_by("id")
        .values_list("id")
    )
    # What was ingested since the last order makes another job: the key holds how many subjects the shard has.
    items = []
    for (shard_id,) in shards:
        count = subjects_of(model.workflow).filter(plane__shard_id=shard_id).count()
        items.append(
            (f"model/{model.pk}/shard/{shard_id}/{count}", {"model_version_id": model.pk, "shard_id": shard_id})
        )
    return enqueue_many("machine.predict", items=items, group=f"classify/{model.pk}") if items else []


def predict_shard(*, model: ModelVersion, shard: Shard) -> Callable[[], None]:
    """Predict the workflow's subjects of one shard; the returned effect writes the rows. No picture is made here."""
    subjects = (
        subjects_of(model.workflow)
        .filter(plane__shard=shard)
        .exclude(pk__in=Prediction.objects.filter(model_version=model).values("subject_id"))
    )
    return predict_subjects(model=model, shard=shard, subjects=dict(subjects.values_list("plane__shard_index", "id")))


def predict_subjects(*, model: ModelVersion, shard: Shard, subjects: dict[int, int]) -> Callable[[], None]:
    """Predict chosen planes of a shard: shard index → subject id. The returned effect writes the rows."""
    indices = np.array(sorted(subjects), dtype=np.int64)
    rows: list[Prediction] = []
    if len(indices):
        planes = open_shard(settings.SHARD_ROOT / shard.path)
        # A whole shard is read in its own order; a few planes are gathered first.
        chosen = planes if len(indices) == len(planes) else planes[indices]
        predictions = open_predictor(model).predict(chosen)
        probabilities = predictions.probabilities[model.workflow.first_task]
        rows = [
            Prediction(
                subject_id=subjects[int(index)],
                model_version=model,
                probabilities=probabilities[i].tolist(),
                embedding=predictions.embeddings[i].tolist(),
            )
            for i, index in enumerate(indices)
        ]

    def write() -> None:
        Prediction.objects.bulk_create(rows, ignore_conflicts=True, batch_size=2000)

    return write


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
    ood_p = queries.out_of_distribution(model).p_values(table.embeddings)
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


def subject_planes(subject_ids: list[int]) -> list[tuple[Shard, dict[int, int]]]:
    """The shards that hold the subjects' planes, each with shard index → subject id."""
    by_shard: dict[Shard, dict[int, int]] = {}
    for subject in Subject.objects.filter(pk__in=subject_ids, plane__isnull=False).select_related("plane__shard"):
        assert subject.plane is not None
        by_shard.setdefault(subject.plane.shard, {})[subject.plane.shard_index] = subject.pk
    return list(by_shard.items())
