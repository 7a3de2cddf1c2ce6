"""A champion with a policy, and subjects that it routed so: made by hand, for tests that need no calibration."""

from __future__ import annotations

import uuid
from typing import Any

from esocs.machine import services as machine
from esocs.machine.models import ModelVersion, Prediction, Route, RoutingPolicy, Threshold
from esocs.projects.models import Media, Workflow
from tests.support.predictions import make_model, make_pool, predict


def make_policy(model: ModelVersion, *, strata: tuple[tuple[str, ...], ...] = (("",),), **fields: Any) -> RoutingPolicy:
    """The model's next policy, one threshold of 0.9 for each tuple of strata."""
    settings = {"alpha": 0.05, "delta": 0.05, "audit_share": 0.1, "ood_p_min": 0.01, "calibrated_on": 500}
    number = RoutingPolicy.objects.filter(model_version=model).count() + 1
    policy = RoutingPolicy.objects.create(model_version=model, number=number, **{**settings, **fields})
    Threshold.objects.bulk_create(
        Threshold(
            policy=policy, number=i, strata=list(names), alpha=policy.alpha, delta=policy.delta / len(strata),
            value=0.9, sample_size=250, accepted=150, errors=1, steps=[[0.9, 150, 1, 0.004]],
        )
        for i, names in enumerate(strata)
    )  # fmt: skip
    return policy


def make_champion(workflow: Workflow) -> ModelVersion:
    """A champion without weights."""
    model = make_model(workflow)
    machine.promote(model)
    return model


def route(
    policy: RoutingPolicy,
    decision: str,
    count: int = 1,
    *,
    bits: float | list[float] = 0.5,
    answer: int = 0,
    threshold: int = 0,
    acceptable: bool = True,
) -> list[int]:
    """New subjects with pictures, predicted as one answer and routed so. Returns their ids."""
    model = policy.model_version
    subjects = make_pool(model.workflow, count)
    Media.objects.bulk_create(
        Media(subject_id=pk, media_type="image/jpeg", name=uuid.uuid4(), path=f"{pk}.jpg", size_bytes=1)
        for pk in subjects
    )
    predict(model, dict.fromkeys(subjects, answer))
    predictions = dict(Prediction.objects.filter(model_version=model).values_list("subject_id", "id"))
    each = bits if isinstance(bits, list) else [bits] * count
    Route.objects.bulk_create(
        Route(
            prediction_id=predictions[pk], policy=policy, threshold=policy.thresholds.get(number=threshold),
            decision=decision, reason="test", acceptable=acceptable, answer=answer, score=0.98, probability=0.98,
            ood_p=0.5, information_bits=each[i],
        )
        for i, pk in enumerate(subjects)
    )  # fmt: skip
    return subjects
