"""The whole loop without HTTP, through the rooms' services and the ledger's jobs; then every job once more."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings

from classifier.training import IMAGE_TRAINING
from esocs.archive.models import Product
from esocs.crowd import refit
from esocs.crowd.models import Classification, Consensus, GoldStandard, Skill, SkillEpoch, SubjectStatus
from esocs.crowd.services import Submission, hand_out_subjects, record_classification
from esocs.demo.survey import IMAGE_CLASSES
from esocs.jobs.models import Job
from esocs.jobs.services import enqueue
from esocs.machine import prediction, routing
from esocs.machine import services as machine
from esocs.machine.models import ModelVersion, Prediction, Route
from esocs.projects.models import Media, Subject, Workflow
from esocs.releases.models import Export
from esocs.releases.services import request_export
from esocs.training import services as training
from esocs.training.models import Comparison, TrainingRun, TrainingSet
from esocs.training.rules import NetworkWish
from tests.support.factories import make_project, make_volunteer, make_workflow
from tests.support.survey import ingest, replay, run_jobs, write_simulated

pytestmark = pytest.mark.django_db
IMAGES, SEED, CALIBRATION = 40, 18, 8
CLASSES = list(IMAGE_CLASSES)


def count_all_rows() -> dict[str, int]:
    """Of every table. A skill fitted again from the same rows is the same skill under a new epoch's number."""
    own = [model for model in apps.get_models() if model.__module__.startswith("esocs.")]
    return {model._meta.label: model.objects.count() for model in own if model not in {SkillEpoch, Skill}}


def read_statuses() -> list[dict[str, Any]]:
    fields = ("id", "state", "audience", "classifications_count", "retirement_reason", "retired_probability")
    return list(SubjectStatus.objects.order_by("id").values(*fields))


class Loop:
    """One small project on its way through the rooms."""

    def __init__(self, folder: Path) -> None:
        project = make_project()
        self.workflow: Workflow = make_workflow(
            project,
            answers=tuple(CLASSES),
            routing={"alpha": 0.05, "delta": 0.05, "audit_share": 0.1, "ood_p_min": 0.0},
        )
        rows = write_simulated(folder, kind="image", count=IMAGES)
        (folder / "broken.fits").write_bytes(b"<html>not found</html>")
        ingest([*(folder / row.file_name for row in rows), folder / "broken.fits"], project=project)
        by_dp_id = {row.dp_id: CLASSES.index(row.class_name) for row in rows}
        self.truth = {s.pk: by_dp_id[s.metadata["#dp_id"]] for s in Subject.objects.filter(project=project)}
        # Enough of them to overrule a network of four steps, whose opinion is heard in full.
        self.volunteers = [make_volunteer().pk for _ in range(6)]

    def answer(self, subject_id: int, volunteer_id: int, *, expert: bool = False) -> None:
        owner = self.workflow.project.owner
        record_classification(
            Submission(
                workflow_id=self.workflow.pk,
                subject_ids=[subject_id],
                volunteer_id=volunteer_id,
                user_id=owner.pk if expert else None,
                annotations=[{"task": "T0", "value": self.truth[subject_id]}],
                metadata={},
                workflow_version=self.workflow.version,
                idempotency_key=f"{subject_id}/{volunteer_id}/{expert}",
                gold_standard=expert,
            )
        )

    def label_reserved(self) -> None:
        reserved = machine.reserve_samples(workflow=self.workflow, seed=SEED, calibration=CALIBRATION)
        ids = sorted(reserved["seed"] + reserved["calibration"])
        payload = {"workflow_id": self.workflow.pk, "subject_ids": ids}
        enqueue("crowd.publish", key="reserved", payload=payload)
        run_jobs()
        self.answer_as_expert()

    def answer_as_expert(self) -> None:
        expert = self.workflow.project.owner.volunteer.pk
        queue = hand_out_subjects(workflow_id=self.workflow.pk, volunteer_id=expert, limit=100, audience="experts")
        for subject in queue:
            self.answer(subject.subject_id, expert, expert=True)

    def retrain(self) -> Comparison:
        frozen = training.freeze_training_set(self.workflow)
        enqueue("training.retrain", key=frozen.manifest_sha256, payload={"workflow_id": self.workflow.pk})
        run_jobs()
        return Comparison.objects.latest("id")

    def classify_and_route(self) -> None:
        champion = machine.get_champion(self.workflow)
        prediction.order_predictions(champion)
        run_jobs()
        routing.order_routes(training.calibrate(champion))
        run_jobs()

    def vote(self) -> None:
        """Everybody answers rightly until nothing is left."""
        given = 1
        while given:
            given = 0
            for volunteer in self.volunteers:
                for subject in hand_out_subjects(workflow_id=self.workflow.pk, volunteer_id=volunteer, limit=3):
                    self.answer(subject.subject_id, volunteer)
                    given += 1

    def refit(self) -> None:
        enqueue("crowd.refit", key="all", payload={"workflow_id": self.workflow.pk})
        run_jobs()


@pytest.fixture
def _short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real network, trained for a few steps only."""

    def few_steps(workflow: Workflow, *, seed: int, wish: NetworkWish) -> Any:
        few = {
            "epochs": 1,
            "least_steps": 4,
            "most_steps": 4,
            "batch_size": 8,
            "hold_out_share": 0.3,
            "strangeness_steps": 20,
        }
        return replace(IMAGE_TRAINING, seed=seed, device="cpu", **few)

    monkeypatch.setattr(training, "_configuration", few_steps)
    monkeypatch.setattr(refit, "FEWEST_TO_FIT", 10)
    monkeypatch.setattr(settings, "TORCH_THREADS", 1)


@pytest.mark.usefixtures("_short_trainings")
def test_fits_come_in_and_a_catalogue_goes_out_and_doing_it_all_again_changes_nothing(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    workflow = loop.workflow
    assert dict(Product.objects.values_list("error_code").distinct()[:2].values_list("error_code", "state")) == {
        "": "ingested",
        "html_instead_of_fits": "rejected",
    }
    assert Subject.objects.count() == IMAGES

    loop.label_reserved()
    assert GoldStandard.objects.count() == SEED + CALIBRATION
    first = loop.retrain()
    assert (first.verdict, first.blind_subjects) == ("promoted", CALIBRATION)

    loop.classify_and_route()
    champion = machine.get_champion(workflow)
    assert Prediction.objects.filter(model_version=champion).count() == IMAGES
    decisions = list(Route.objects.values_list("decision", flat=True))
    # Eight blind answers certify nothing, so nothing is accepted without people.
    assert decisions.count("experts") == SEED + CALIBRATION
    assert decisions.count("volunteers") + decisions.count("audit") == IMAGES - SEED - CALIBRATION
    open_statuses = SubjectStatus.objects.filter(state="open", audience="volunteers")
    assert open_statuses.count() == IMAGES - SEED - CALIBRATION
    assert Media.objects.filter(role="location").count() == SubjectStatus.objects.count() == IMAGES
    assert Media.objects.filter(role="plane").count() == IMAGES
    assert Consensus.objects.filter(status__in=open_statuses).count() == open_statuses.count()

    loop.vote()
    loop.refit()
    loop.vote()
    loop.answer_as_expert()
    assert SkillEpoch.objects.get(current=True).number == 2
    assert not SubjectStatus.objects.filter(state="open").exists()
    retired = Consensus.objects.filter(status__retirement_reason="consensus")
    assert retired.count() >= 10
    assert all(loop.truth[c.status.subject_id] == c.answer for c in retired.select_related("status"))
    assert refit.audit_consensus(workflow) == []
    votes = Classification.objects.filter(gold_standard=False)
    assert votes.count() >= 2 * retired.count()

    second = loop.retrain()
    assert second.champion == champion
    assert second.verdict in {"promoted", "kept"}
    assert TrainingSet.objects.count() == TrainingRun.objects.count() == ModelVersion.objects.count() == 2
    assert ModelVersion.objects.filter(state="champion").count() == 1
    blind = set(SubjectStatus.objects.filter(blind=True, audience="volunteers").values_list("subject_id", flat=True))
    latest = TrainingSet.objects.latest("id").items
    assert not blind & set(latest.values_list("subject_id", flat=True))

    export = request_export(project=workflow.project, kind="classifications", workflow=workflow)
    run_jobs()
    export.refresh_from_db()
    assert (export.state, export.row_count) == (Export.State.READY, Classification.objects.count())
    with gzip.open(Path(settings.EXPORT_ROOT) / export.path, "rt", newline="") as file:
        exported = list(csv.DictReader(file))
    assert {int(row["subject_ids"]) for row in exported} == set(loop.truth)

    assert set(Job.objects.values_list("state", flat=True)) == {"done"}
    before = count_all_rows()
    statuses = read_statuses()
    assert replay() == Job.objects.count()
    assert set(Job.objects.values_list("state", flat=True)) == {"done"}
    assert count_all_rows() == before
    assert read_statuses() == statuses
