"""Writes of the training room: freeze a training set, train a challenger, compare it, promote it or keep it back."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from classifier.errors import EsocsError
from classifier.evaluation import Verdict, verdict
from classifier.selection import CalibrationSample
from classifier.shards import open_shard
from esocs.crowd import queries as crowd_queries
from esocs.crowd.models import Consensus, GoldStandard, SubjectStatus
from esocs.machine import prediction, routing
from esocs.machine import queries as machine_queries
from esocs.machine import services as machine
from esocs.machine.models import ModelVersion, Prediction, ReservedSubject, Route, RoutingPolicy
from esocs.machine.rules import read_settings
from esocs.projects.models import Workflow
from esocs.projects.rules import answer_labels
from esocs.projects.services import subjects_of
from esocs.training import rules
from esocs.training.models import Comparison, TrainingRun, TrainingSet, TrainingSetItem

if TYPE_CHECKING:
    from classifier.training import TrainedNetwork, TrainingProgress


# What is held out measures how far known subjects lie apart: the smallest p-value is one over their number, so a tenth
# of a few hundred seeds would be too few to call anything out of distribution.
HOLD_OUT_SHARE = 0.15


class NoBlindSampleError(EsocsError):
    """Too few of the reserved calibration subjects have an expert's answer to compare models on."""

    code = "no_blind_sample"
    status = 409


def expert_answers(workflow: Workflow, purpose: str) -> dict[int, int]:
    """Subject id → the experts' answer, of a reserved sample."""
    reserved = machine_queries.list_reserved(workflow.pk, purpose)
    gold = GoldStandard.objects.filter(workflow=workflow, task_key=workflow.first_task, subject_id__in=reserved)
    return dict(gold.values_list("subject_id", "answer"))


@transaction.atomic
def freeze_training_set(workflow: Workflow) -> TrainingSet:
    """Freeze what may be trained on now: the experts' seed and the volunteers' settled consensus.

    Gold other than the seed, the calibration sample and the blind audit are never trained on.

    Raises:
        NothingToTrainOnError: nothing is labelled yet.
    """
    class_names = answer_labels(workflow.tasks, workflow.strings, workflow.first_task)
    subjects = _seed(workflow, len(class_names)) + _settled(workflow)
    if not subjects:
        raise rules.NothingToTrainOnError(
            f"Nothing is labelled in {workflow} yet.", hint="Have experts answer the reserved seed first."
        )
    rows = rules.weigh(subjects, population=_population(workflow))
    sha256 = rules.manifest_sha256(
        workflow_id=workflow.pk, task_key=workflow.first_task, class_names=class_names, rows=rows
    )
    training_set, made = TrainingSet.objects.get_or_create(
        manifest_sha256=sha256,
        defaults={"workflow": workflow, "task_key": workflow.first_task, "class_names": class_names},
    )
    if made:
        TrainingSetItem.objects.bulk_create(
            [
                TrainingSetItem(
                    training_set=training_set,
                    subject_id=row.subject_id,
                    source=row.source,
                    counts=list(row.counts),
                    weight=row.weight,
                )
                for row in rows
            ],
            batch_size=2000,
        )
    return training_set


def _seed(workflow: Workflow, n_answers: int) -> list[rules.LabelledSubject]:
    answers = expert_answers(workflow, ReservedSubject.Purpose.SEED)
    return [
        rules.LabelledSubject(
            subject_id=pk, source="seed", counts=rules.expert_label(answer, n_answers), stratum="random"
        )
        for pk, answer in sorted(answers.items())
    ]


def _settled(workflow: Workflow) -> list[rules.LabelledSubject]:
    """Subjects that volunteers settled, without the blind audit, the calibration sample and whatever has gold."""
    gold = GoldStandard.objects.filter(workflow=workflow).values("subject_id")
    calibration = machine_queries.list_reserved(workflow.pk, ReservedSubject.Purpose.CALIBRATION)
    consensus = (
        Consensus.objects.filter(
            task_key=workflow.first_task,
            status__workflow=workflow,
            status__state=SubjectStatus.State.RETIRED,
            status__retirement_reason="consensus",
            status__blind=False,
        )
        .exclude(status__subject_id__in=gold)
        .exclude(status__subject_id__in=calibration)
        .select_related("status__epoch")
    )
    return [
        rules.LabelledSubject(
            subject_id=row.status.subject_id,
            source="consensus",
            counts=rules.soft_label(probabilities, row.answer_counts),
            stratum="routed",
        )
        for row, probabilities in crowd_queries.read_out_consensus(consensus.order_by("status__subject_id"))
        if sum(row.answer_counts)
    ]


def _population(workflow: Workflow) -> dict[str, int]:
    """How many of the workflow's subjects each stratum stands for: the random seed for all but the routed."""
    total = subjects_of(workflow).count()
    routed = SubjectStatus.objects.filter(workflow=workflow, audience=SubjectStatus.Audience.VOLUNTEERS).count()
    return {"random": max(1, total - routed), "routed": routed}


def train_challenger(
    workflow: Workflow,
    *,
    seed: int = 0,
    wish: rules.NetworkWish | None = None,
    report_progress: Callable[[int, int], None] | None = None,
) -> ModelVersion:
    """Freeze, train, register and predict what calibration and comparison need. Replaying finds the finished run.

    Args:
        workflow: whose subjects and answers.
        seed: of the weights, the order and the held-out share.
        wish: which network, and how many of it; one of the smallest size by default.
        report_progress: called with the steps made and all steps.

    Returns:
        The candidate; the same one when this set was trained with this configuration and seed before.

    Raises:
        NothingToTrainOnError: nothing is labelled yet.
        InvalidNetworkWishError: there is no such network for the workflow's subjects.
    """
    training_set = freeze_training_set(workflow)
    configuration = _configuration(workflow, seed=seed, wish=wish or rules.NetworkWish())
    described = json.loads(json.dumps(asdict(configuration), default=str))
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    run, _ = TrainingRun.objects.get_or_create(
        training_set=training_set,
        configuration_sha256=digest,
        seed=seed,
        defaults={"configuration": described},
    )
    model = run.model_version or _train(run, configuration, report_progress)
    # An attempt that ended after the training and before these predictions left them to this one.
    _predict_blind_sample(model)
    return model


def _configuration(workflow: Workflow, *, seed: int, wish: rules.NetworkWish) -> Any:
    from classifier.networks import SIZES
    from classifier.networks.timm_encoder import TimmNetwork
    from classifier.training import IMAGE_TRAINING, SPECTRUM_TRAINING

    base = IMAGE_TRAINING if workflow.subject_kind == "image" else SPECTRUM_TRAINING
    network: dict[str, Any]
    if wish.encoder:
        if workflow.subject_kind != "image":
            raise rules.InvalidNetworkWishError("An encoder of timm takes images; the workflow shows spectra.")
        network = {"architecture": TimmNetwork.architecture, "arguments": {"encoder": wish.encoder}}
    elif wish.size in SIZES:
        network = {"architecture": base.architecture, "arguments": SIZES[wish.size]}
    else:
        raise rules.InvalidNetworkWishError(f"There is no size {wish.size!r}, but {', '.join(SIZES)}.")
    return replace(base, **network, members=wish.members, seed=seed, hold_out_share=HOLD_OUT_SHARE)


def _train(run: TrainingRun, configuration: Any, report_progress: Callable[[int, int], None] | None) -> ModelVersion:
    import torch

    from classifier.data import Question, Samples
    from classifier.training import train
    from classifier.weights import save_weights

    if settings.TORCH_THREADS:
        torch.set_num_threads(settings.TORCH_THREADS)
    training_set = run.training_set
    items = list(TrainingSetItem.objects.filter(training_set=training_set).order_by("subject_id"))
    question = Question(name=training_set.task_key, answers=tuple(training_set.class_names))
    votes = np.array([item.counts for item in items], dtype=np.float32)
    samples = Samples(
        planes=_gather_planes([item.subject_id for item in items]),
        votes={question.name: votes},
        questions=(question,),
        subject_ids=np.array([item.subject_id for item in items], dtype=np.int64),
        selection_weights=np.array([item.weight for item in items], dtype=np.float32),
    )

    def report(progress: TrainingProgress) -> None:
        if report_progress is not None:
            report_progress(progress.step, progress.steps)

    started = time.monotonic()
    trained = train(samples, configuration, report)
    # A name of its own for each attempt: one that lost its lease writes beside, not over, what another registered.
    name = f"run-{run.pk}-{uuid.uuid4().hex[:8]}.safetensors"
    path = settings.WEIGHTS_ROOT / f"workflow-{training_set.workflow_id}" / name
    facts = {**trained.facts(), "manifest_sha256": training_set.manifest_sha256}
    saved = save_weights(trained.networks, path, questions=[question], facts=facts)
    shares = votes.sum(axis=0) + 1.0
    with transaction.atomic():
        first = TrainingRun.objects.select_for_update(of=("self",)).get(pk=run.pk).model_version
        if first is not None:
            return first
        model = machine.register_model(
            workflow=training_set.workflow,
            weights_path=path,
            weights_sha256=saved.sha256,
            class_names=training_set.class_names,
            training_prior=(shares / shares.sum()).tolist(),
            card={**facts, **_seen(trained), "views": configuration.views, "training_run": run.pk},
        )
        TrainingRun.objects.filter(pk=run.pk).update(
            model_version=model,
            metrics={"accuracy": facts["accuracy"], "log_loss": facts["log_loss"]},
            seconds=time.monotonic() - started,
            finished_at=Now(),
        )
    return model


def _seen(trained: TrainedNetwork) -> dict[str, Any]:
    return {
        "trained_on": [int(pk) for pk in trained.trained_ids],
        "held_out": [int(pk) for pk in trained.hold_out.subject_ids],
        "known_strangeness": [round(float(value), 5) for value in trained.known_strangeness],
    }


def _gather_planes(subject_ids: list[int]) -> np.ndarray:
    """(N, …) planes of the subjects, in their order."""
    found: dict[int, np.ndarray] = {}
    for shard, members in prediction.subject_planes(subject_ids):
        planes = open_shard(settings.SHARD_ROOT / shard.path)
        for index, subject_id in members.items():
            found[subject_id] = planes[index]
    return np.stack([found[pk] for pk in subject_ids])


def _predict_blind_sample(model: ModelVersion) -> None:
    """Predict the reserved sample, on which the model is calibrated and compared."""
    calibration = machine_queries.list_reserved(model.workflow_id, ReservedSubject.Purpose.CALIBRATION)
    known = set(Prediction.objects.filter(model_version=model).values_list("subject_id", flat=True))
    wanted = [pk for pk in calibration if pk not in known]
    for shard, members in prediction.subject_planes(wanted):
        prediction.predict_subjects(model=model, shard=shard, subjects=members)()


def blind_sample(model: ModelVersion, answers: dict[int, int]) -> CalibrationSample:
    """The reserved calibration sample as this model scores it, and as a policy would let it accept."""
    table = machine_queries.read_predictions(model, subject_ids=sorted(answers))
    truth = np.array([answers[int(pk)] for pk in table.subject_ids])
    return CalibrationSample(
        subject_ids=table.subject_ids,
        scores=machine_queries.acceptance_scores(
            model, table, ood_p_min=read_settings(model.workflow.routing).ood_p_min
        ),
        correct=table.probabilities.argmax(axis=1) == truth,
        model_version=str(model.pk),
        reserved_for=str(model.pk),
    )


@transaction.atomic
def compare_and_promote(challenger: ModelVersion) -> Comparison:
    """Compare a challenger with the champion on the blind sample and act on the verdict. Done once a challenger.

    Raises:
        NoBlindSampleError: experts have not labelled the reserved calibration sample.
    """
    workflow = Workflow.objects.select_for_update().get(pk=challenger.workflow_id)
    known = Comparison.objects.filter(challenger=challenger).first()
    if known is not None:
        return known
    answers = expert_answers(workflow, ReservedSubject.Purpose.CALIBRATION)
    if not answers:
        raise NoBlindSampleError(
            f"No reserved calibration subject of {workflow} has an expert's answer.",
            hint="Have experts answer their queue first.",
        )
    champion = ModelVersion.objects.filter(workflow=workflow, state=ModelVersion.State.CHAMPION).first()
    sample = blind_sample(challenger, answers)
    if not len(sample.correct):
        raise NoBlindSampleError(f"{challenger} has predicted none of the calibration subjects.")
    if champion is None:
        comparison = Comparison.objects.create(
            challenger=challenger,
            verdict=Comparison.Verdict.PROMOTED,
            reason="The first model of this workflow.",
            blind_subjects=len(sample.correct),
            challenger_errors=int((~sample.correct).sum()),
            challenger_accepted_share=0.0,
        )
    else:
        demanded = read_settings(workflow.routing)
        made = verdict(
            champion=blind_sample(champion, answers),
            challenger=sample,
            champion_trained_ids=champion.card["trained_on"],
            challenger_trained_ids=challenger.card["trained_on"],
            alpha=demanded.alpha,
            delta=demanded.delta,
        )
        comparison = _record(challenger, champion, made)
    if comparison.verdict == Comparison.Verdict.PROMOTED:
        machine.promote(challenger)
        challenger.refresh_from_db()
    return comparison


def _record(challenger: ModelVersion, champion: ModelVersion, made: Verdict) -> Comparison:
    reason = " ".join(made.reasons) or "No more errors, and at least as much accepted, on the same blind subjects."
    return Comparison.objects.create(
        challenger=challenger,
        champion=champion,
        verdict=Comparison.Verdict.PROMOTED if made.promoted else Comparison.Verdict.KEPT,
        reason=reason[:300],
        blind_subjects=made.subjects,
        champion_errors=made.champion_errors,
        challenger_errors=made.challenger_errors,
        only_champion_wrong=made.test.only_champion_wrong,
        only_challenger_wrong=made.test.only_challenger_wrong,
        p_value=made.test.p_more_errors,
        champion_accepted_share=made.champion_certificate.accepted / made.subjects,
        challenger_accepted_share=made.challenger_certificate.accepted / made.subjects,
    )


def calibrate(model: ModelVersion) -> RoutingPolicy:
    """Certify the model's accept threshold on the experts' answers to the reserved calibration sample.

    Raises:
        NoBlindSampleError: experts have not labelled it.
    """
    answers = expert_answers(model.workflow, ReservedSubject.Purpose.CALIBRATION)
    if not answers:
        raise NoBlindSampleError(
            f"No reserved calibration subject of {model.workflow} has an expert's answer.",
            hint="Have experts answer their queue first.",
        )
    return routing.set_policy(model=model, answers=answers)


def count_predictions(model: ModelVersion) -> tuple[int, int]:
    """(predicted, all) subjects of the model's workflow."""
    done = Prediction.objects.filter(model_version=model).count()
    return done, subjects_of(model.workflow).count()


def accepted_subjects(policy: RoutingPolicy) -> dict[int, int]:
    """Subject id → answer, of everything the policy accepts without asking anybody."""
    routes = Route.objects.filter(policy=policy, decision=Route.Decision.ACCEPT)
    return dict(routes.values_list("prediction__subject_id", "answer"))
