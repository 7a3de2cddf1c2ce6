"""A project in the middle of its work: a champion with predictions and routes, votes, a consensus, rejected files."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np

from esocs.accounts.models import User
from esocs.archive.models import IngestBatch, Plane, Product, Shard
from esocs.crowd.models import SubjectStatus
from esocs.crowd.services import Submission, record_classification
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion, Prediction, Route, RoutingPolicy
from esocs.projects.models import Project, Subject, Workflow
from tests.browser.pictures import make_picture_subject, make_spectrum_subject
from tests.support import factories

IMAGE_ANSWERS = ("Elliptical", "Spiral", "Edge-on", "Merger", "Star", "Artifact")
SPECTRUM_ANSWERS = ("Star", "Galaxy", "Emission-line galaxy", "Quasar", "Bad")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a test needs to know of it."""

    owner: User
    project: Project
    images: Workflow
    spectra: Workflow
    settled: Subject

    def path(self, workflow: Workflow, page: str) -> str:
        return f"/projects/{self.project.slug}/workflows/{workflow.pk}/{page}/"


def build_scene(*, images: int = 12, spectra: int = 5) -> Scene:
    """Rows for every page, and pictures on disk."""
    owner = factories.make_user("observer")
    project = factories.make_project(owner=owner, display_name="Deep field survey")
    project.description = "Which galaxies of the deep field are spirals, and which only look like it?"
    project.introduction = (
        "Every cut-out comes from a file of the archive. The machine has looked at all of them.\n\n"
        "Here you see those it was unsure of, and a few that it was sure of, so that we can check it."
    )
    project.save()
    image_workflow = factories.make_workflow(
        project, answers=IMAGE_ANSWERS, question="What is in the middle of this picture?", display_name="Galaxy shapes"
    )
    spectrum_workflow = factories.make_workflow(
        project,
        kind="spectrum",
        answers=SPECTRUM_ANSWERS,
        question="What kind of object has this spectrum?",
        display_name="Kinds of spectra",
    )
    subjects = [make_picture_subject(image_workflow, seed) for seed in range(images)]
    for seed in range(spectra):
        make_spectrum_subject(spectrum_workflow, seed)
    _tie_to_product(subjects[0])
    _predict(image_workflow, subjects)
    _vote(image_workflow, subjects[0], [1, 3, 1, 1, 1, 1, 1])
    _vote(image_workflow, subjects[1], [0, 2])
    return Scene(owner=owner, project=project, images=image_workflow, spectra=spectrum_workflow, settled=subjects[0])


def _tie_to_product(subject: Subject) -> None:
    batch = IngestBatch.objects.create(source="/archive/deep-field")
    product = Product.objects.create(
        batch=batch,
        uri="/archive/deep-field/SIM.2026-03-14T02:11:08.123.fits",
        dp_id="SIM.2026-03-14T02:11:08.123",
        state=Product.State.INGESTED,
        kind="image",
        sha256="5f" * 32,
        size_bytes=8_395_200,
        instrument="SIMCAM",
        exposure_time_s=300.0,
        header={"ORIGIN": "ESO", "EXPTIME": 300.0, "FILTER": "r"},
    )
    shard = Shard.objects.create(batch=batch, kind="image", path="1/0.npy", sha256="0" * 64, shape=[1, 128, 128])
    subject.plane = Plane.objects.create(
        product=product, number=3, shard=shard, shard_index=0, x_px=812.5, y_px=2044.0, ra_deg=53.1, dec_deg=-27.8,
        size_px=128, background=412.7, noise=9.31,
    )  # fmt: skip
    subject.save()
    for code, detail in (
        ("fits_truncated", "The data of HDU 1 should have 2,097,152 bytes; the file ends after 811,008."),
        ("not_fits", "The file starts with “<!DOCTYPE html>”."),
    ):
        Product.objects.create(
            batch=batch, uri=f"/archive/deep-field/{code}.fits", dp_id=code, state=Product.State.REJECTED,
            error_code=code, error_detail=detail,
        )  # fmt: skip


def _predict(workflow: Workflow, subjects: list[Subject]) -> None:
    model = ModelVersion.objects.create(
        workflow=workflow,
        number=1,
        state=ModelVersion.State.CHAMPION,
        class_names=list(IMAGE_ANSWERS),
        weights_path="none",
        weights_sha256="0" * 64,
        training_prior=[1 / 6] * 6,
        temperature=1.2,
    )
    policy = RoutingPolicy.objects.create(
        model_version=model, number=1, alpha=0.01, delta=0.05, threshold=0.93, audit_share=0.02, ood_p_min=0.01,
        calibrated_on=480, evidence=[],
    )  # fmt: skip
    random = np.random.default_rng(7)
    for number, subject in enumerate(subjects):
        probabilities = random.dirichlet([0.6] * 6)
        prediction = Prediction.objects.create(
            subject=subject, model_version=model, probabilities=probabilities.tolist(),
            embedding=[1.0] + [0.0] * (EMBEDDING_DIMENSIONS - 1),
        )  # fmt: skip
        decision, reason = ("audit", "audit") if number % 5 == 2 else ("volunteers", "uncertain")
        route = Route.objects.create(
            prediction=prediction, policy=policy, decision=decision, reason=reason, answer=int(probabilities.argmax()),
            score=float(probabilities.max()), probability=float(probabilities.max()), ood_p=0.4, information_bits=1.0,
        )  # fmt: skip
        SubjectStatus.objects.filter(workflow=workflow, subject=subject).update(route=route, blind=decision == "audit")


def _vote(workflow: Workflow, subject: Subject, answers: list[int]) -> None:
    """Different volunteers answer until the subject retires."""
    for answer in answers:
        recorded = record_classification(
            Submission(
                workflow_id=workflow.pk,
                project_id=workflow.project_id,
                subject_ids=[subject.pk],
                volunteer_id=factories.make_volunteer().pk,
                user_id=None,
                annotations=[{"task": "T0", "value": answer}],
                metadata={},
                workflow_version="1.1",
                idempotency_key=str(uuid.uuid4()),
            )
        )
        if recorded.retired:
            break
