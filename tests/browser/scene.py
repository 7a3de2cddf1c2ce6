"""A project in the middle of its work: a champion with predictions and routes, votes, a consensus, rejected files."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.utils import timezone
from PIL import Image

from classifier.audit import watch_audit
from esocs.accounts.models import User
from esocs.accounts.services import volunteer_for_user
from esocs.archive.models import IngestBatch, Plane, Product, Shard
from esocs.crowd.models import Consensus, Skill, SubjectStatus, TaskSummary
from esocs.crowd.services import RuleRequest, Submission, change_retirement, draw_audit, record_classification
from esocs.crowd.summaries import Response, summarise_task
from esocs.machine.models import EMBEDDING_DIMENSIONS, ModelVersion, Prediction, Route, RoutingPolicy, Threshold
from esocs.projects.models import Media, Project, Subject, SubjectSet, Workflow
from tests.browser.pictures import make_picture_subject, make_spectrum_subject
from tests.support import factories
from tests.support.drift import make_drift
from tests.web import crowd

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
    drawn: Subject

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
    return Scene(
        owner=owner,
        project=project,
        images=image_workflow,
        spectra=spectrum_workflow,
        settled=subjects[0],
        drawn=subjects[1],
    )


def build_crowd(scene: Scene, *, subjects: int = 36, volunteers: int = 7) -> None:
    """The crowd at work: skill fitted, subjects that wait for experts, an audit, settings, marks on a picture."""
    workflow = scene.images
    change_retirement(workflow=workflow, criterion={"criteria": "never_retire", "options": {}}, requests=[])
    asked = [make_picture_subject(workflow, 100 + seed) for seed in range(subjects)]
    _predict(workflow, asked)
    names = ["volunteer-17", "volunteer.204", "a-volunteer-whose-name-goes-on-and-on-and-does-not-end"]
    people = [volunteer_for_user(factories.make_user(name)).pk for name in names]
    people += [factories.make_volunteer().pk for _ in range(volunteers - len(people))]
    crowd.classify_all(workflow, asked, people)
    for subject, kind in zip(asked[:4], ("contested", "contested", "flagged", "flagged"), strict=True):
        crowd.wait_for_expert(workflow, subject, kind)
    rows = Consensus.objects.filter(status__workflow=workflow, task_key="T0")
    rows.filter(status__subject__in=asked[:2]).update(
        answer_counts=[3, 3, 1, 0, 0, 0], answer=1, probability=0.58, majority=None
    )
    rows.filter(status__subject__in=asked[2:4]).update(
        answer_counts=[4, 2, 0, 1, 0, 0], answer=1, probability=0.951, majority=0, flagged=True
    )
    Route.objects.filter(statuses__subject=asked[4]).update(decision="experts", reason="quality")
    SubjectStatus.objects.filter(workflow=workflow, subject=asked[4]).update(audience="experts")
    crowd.settle(workflow, asked[6:], probability=0.97)
    draw_audit(workflow=workflow, size=18)
    audited = SubjectStatus.objects.filter(workflow=workflow, review="audit").select_related("subject")
    audited = audited.exclude(subject=scene.settled)
    for number, status in enumerate(list(audited)[:15]):
        crowd.answer_as_expert(workflow, status.subject, scene.owner, 1 if number == 0 else 0)
    # Somebody who answers the same whatever is shown.
    Skill.objects.filter(volunteer=people[-1], epoch__current=True).update(
        skill_bits=0.01, lower_bits=0, upper_bits=0.015, muted=True, accuracy=0.17, gold_seen=15, gold_right=3
    )
    move = SubjectSet.objects.create(project=scene.project, display_name="Spirals to measure")
    blanks = RuleRequest(template="blanks", options={"answer": 5, "count": 3})
    onward = RuleRequest(template="move", options={"answer": 1, "count": 3, "probability": 0.8, "subject_set": move.pk})
    consensus = {"criteria": "consensus", "options": {"threshold": 0.95, "minimum": 3, "maximum": 15}}
    change_retirement(workflow=workflow, criterion=consensus, requests=[blanks, onward], author=scene.owner)
    _draw(workflow, scene.drawn)
    policy = RoutingPolicy.objects.get(model_version__workflow=workflow)
    make_drift(policy, surer=True)
    _audit(policy)


def _audit(policy: RoutingPolicy) -> None:
    """A policy of two strata and a rare answer, its audit after 640 answers, and a budget."""
    more = {"alpha": 0.01, "delta": 0.0167, "sample_size": 410, "accepted": 0, "errors": 0, "steps": []}
    Threshold.objects.update_or_create(
        policy=policy, number=1, defaults={**more, "strata": ["EFOSC2", "FORS1", "SUSI"], "value": None}
    )
    rare = {**more, "alpha": 0.05, "accepted": 171, "errors": 2, "sample_size": 204}
    Threshold.objects.update_or_create(
        policy=policy, number=2, defaults={**rare, "strata": ["FORS2"], "answer": 2, "value": 0.81}
    )
    Threshold.objects.filter(policy=policy, number=0).update(strata=["FORS2"])
    wrong = np.random.default_rng(5).random(640) < 0.012
    alarm = watch_audit(wrong, alpha=0.01)
    path = [[i + 1, float(alarm.log_wealth[i]) / math.log(10)] for i in range(0, 640, 4)]
    groups = [{"number": i, "audited": n, "errors": k} for i, (n, k) in enumerate([(588, 6), (0, 0), (52, 1)])]
    RoutingPolicy.objects.filter(pk=policy.pk).update(
        stratify_by="instrument",
        watched_at=timezone.now(),
        alarm={
            "audited": 640, "settled": 631, "unconfirmed": 3, "errors": alarm.errors, "fired_at": None,
            "p_value": alarm.p_value, "delta": 0.01, "thresholds": groups, "path": path, "wrong_subjects": [],
        },
    )  # fmt: skip
    Workflow.objects.filter(pk=policy.model_version.workflow_id).update(
        routing={"stratify_by": "instrument", "votes_per_day": 4000}
    )


def _draw(workflow: Workflow, subject: Subject) -> None:
    """What five people marked on a picture, wrote about it and estimated."""
    tools = [
        {"type": "point", "label": "Knot", "details": []},
        {"type": "ellipse", "label": "Bulge", "details": []},
        {"type": "line", "label": "Tail", "details": []},
    ]
    tasks = {
        "T1": {"type": "drawing", "instruction": "Mark what you see", "tools": tools},
        "T2": {"type": "text", "instruction": "What else is there?"},
        "T3": {"type": "slider", "instruction": "How far is it seen from the side?", "min": 0, "max": 90},
    }
    random = np.random.default_rng(3)
    picture = Media.objects.get(subject=subject, role="location")
    with Image.open(Path(settings.MEDIA_ROOT) / picture.path) as image:
        unit = image.width / 128
    values: dict[str, list[Any]] = {"T1": [], "T2": ["a tail", "a tail", "a faint tail", "", "A tail"], "T3": []}
    for _ in range(5):
        d = random.normal(scale=2.0, size=8)
        values["T1"].append(
            [
                {"tool": 0, "x": (36 + d[0] / 2) * unit, "y": (71 + d[1] / 2) * unit},
                {
                    "tool": 1,
                    "x": (64 + d[2] / 2) * unit,
                    "y": (64 + d[3] / 2) * unit,
                    "rx": (22 + d[4]) * unit,
                    "ry": 15 * unit,
                    "angle": 30 + d[5],
                },
                {"tool": 2, "x1": (78 + d[6]) * unit, "y1": 44 * unit, "x2": 112 * unit, "y2": (22 + d[7]) * unit},
            ]
        )
        values["T3"].append(float(np.clip(40 + 8 * d[7], 0, 90)))
    status = SubjectStatus.objects.get(workflow=workflow, subject=subject)
    for key, task in tasks.items():
        found = summarise_task(task, [Response(i, value) for i, value in enumerate(values[key])])
        TaskSummary.objects.create(
            status=status, task_key=key, kind=found.kind, seen_by=found.seen_by, value=found.value
        )
    workflow.tasks |= tasks
    workflow.save(update_fields=["tasks"])


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
    model, _ = ModelVersion.objects.get_or_create(
        workflow=workflow,
        number=1,
        defaults={
            "state": ModelVersion.State.CHAMPION,
            "class_names": list(IMAGE_ANSWERS),
            "weights_path": "none",
            "weights_sha256": "0" * 64,
            "training_prior": [1 / 6] * 6,
            "temperature": 1.2,
        },
    )
    policy, _ = RoutingPolicy.objects.get_or_create(
        model_version=model,
        number=1,
        defaults={
            "alpha": 0.01,
            "delta": 0.05,
            "audit_share": 0.02,
            "ood_p_min": 0.01,
            "calibrated_on": 480,
        },
    )
    Threshold.objects.get_or_create(
        policy=policy, number=0,
        defaults={
            "strata": [""], "alpha": 0.01, "delta": 0.05, "value": 0.93, "sample_size": 480, "accepted": 310,
            "errors": 0, "steps": [[0.95, 299, 0, 0.0495], [0.93, 310, 0, 0.0444]],
        },
    )  # fmt: skip
    random = np.random.default_rng(7)
    for place, subject in enumerate(subjects):
        probabilities = random.dirichlet([0.6] * 6)
        prediction = Prediction.objects.create(
            subject=subject, model_version=model, probabilities=probabilities.tolist(),
            embedding=(probabilities @ np.eye(6, EMBEDDING_DIMENSIONS)).tolist(),
        )  # fmt: skip
        decision, reason = ("audit", "audit") if place % 5 == 2 else ("volunteers", "uncertain")
        route = Route.objects.create(
            prediction=prediction, policy=policy, decision=decision, reason=reason, answer=int(probabilities.argmax()),
            score=float(probabilities.max()), probability=float(probabilities.max()), ood_p=0.4, information_bits=1.0,
            ood_distance=float(1 - probabilities.max()),
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
