"""Model versions and predictions made by hand, for tests that need no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from django.conf import settings

from esocs.archive.models import IngestBatch, Plane, Product, Shard
from esocs.crowd.models import GoldStandard
from esocs.machine import services as machine
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion, Prediction
from esocs.projects.models import SetMemberSubject, Subject, Workflow
from esocs.projects.rules import answer_labels


def make_pool(workflow: Workflow, count: int, *, usable: bool = True) -> list[int]:
    """Subjects in a workflow's set, each with a plane; no file lies behind them. Returns their ids."""
    batch = IngestBatch.objects.create(source="test")
    number = Product.objects.count()
    products = Product.objects.bulk_create(
        Product(
            batch=batch,
            uri=f"/nowhere/{number + i}",
            dp_id=f"product {number + i}",
            state="ingested",
            kind=workflow.subject_kind,
            sha256=f"{number + i:064x}",
        )
        for i in range(count)
    )
    shard = Shard.objects.create(
        batch=batch, kind=workflow.subject_kind, path=f"{batch.pk}/none.npy", sha256="0" * 64, shape=[count, 8, 8]
    )
    planes = Plane.objects.bulk_create(
        Plane(product=product, number=0, shard=shard, shard_index=i, usable=usable)
        for i, product in enumerate(products)
    )
    subjects = Subject.objects.bulk_create(
        Subject(project=workflow.project, plane=plane, kind=workflow.subject_kind) for plane in planes
    )
    for subject_set in workflow.subject_sets.all():
        SetMemberSubject.objects.bulk_create(SetMemberSubject(subject_set=subject_set, subject=s) for s in subjects)
    return [subject.pk for subject in subjects]


def make_model(
    workflow: Workflow, *, class_names: tuple[str, ...] | None = None, trained_on: list[int] | None = None
) -> ModelVersion:
    """A candidate without weights; every fifth subject it was trained on was held out."""
    seen = trained_on or []
    class_names = class_names or tuple(answer_labels(workflow.tasks, workflow.strings, workflow.first_task))
    return machine.register_model(
        workflow=workflow,
        weights_path=Path(settings.WEIGHTS_ROOT) / "none.safetensors",
        weights_sha256="0" * 64,
        class_names=list(class_names),
        training_prior=[1 / len(class_names)] * len(class_names),
        card={"trained_on": seen, "held_out": seen[::5], "known_strangeness": np.linspace(-3, 0, 199).tolist()},
    )


def predict(
    model: ModelVersion, answers: dict[int, int], *, score: float | dict[int, float] = 0.98, strange: bool = False
) -> None:
    """Predictions of the given answers at the given scores; strange ones are like nothing known."""
    K = len(model.class_names)
    rows = []
    for subject_id, answer in answers.items():
        sure = score[subject_id] if isinstance(score, dict) else score
        probabilities = np.full(K, (1 - sure) / (K - 1))
        probabilities[answer] = sure
        embedding = np.zeros(EMBEDDING_DIMENSIONS)
        embedding[-1 if strange else 0] = 1.0
        rows.append(
            Prediction(
                subject_id=subject_id,
                model_version=model,
                probabilities=probabilities.tolist(),
                embedding=embedding.tolist(),
                strangeness=3.0 if strange else -3.0,
            )
        )
    Prediction.objects.bulk_create(rows)


def label(workflow: Workflow, answers: dict[int, int]) -> None:
    """Experts' answers."""
    GoldStandard.objects.bulk_create(
        GoldStandard(
            workflow=workflow,
            subject_id=pk,
            task_key=workflow.first_task,
            answer=answer,
            author=workflow.project.owner,
        )
        for pk, answer in answers.items()
    )
