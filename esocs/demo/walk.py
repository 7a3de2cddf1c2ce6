"""The demonstration's main job, step by step: FITS in, classified, routed, voted, consensus, retrained, exported.

Every step asks the rows what is already there, so an interrupted walk goes on where it stopped. The truth is read by
the simulated people and, at the very end, by the summary; nothing in between sees it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from esocs.accounts.models import User
from esocs.accounts.services import sign_up
from esocs.archive import queries as archive_queries
from esocs.archive import services as archive
from esocs.archive.models import IngestBatch
from esocs.crowd.models import GoldStandard, SubjectStatus
from esocs.crowd.refit import count_new_rows, list_workflows_with_new_rows
from esocs.crowd.services import order_expert_tasks, release_reservations
from esocs.demo.people import make_people
from esocs.demo.survey import IMAGE_CLASSES, SPECTRUM_CLASSES, simulate
from esocs.demo.volunteers import Crowd, TruthBook, label_as_expert, prepare_accounts
from esocs.jobs.command import Progress, complete, complete_group
from esocs.jobs.queries import list_ids
from esocs.jobs.services import enqueue
from esocs.machine import prediction, routing
from esocs.machine import services as machine
from esocs.machine.models import ModelVersion, ReservedSubject
from esocs.projects import services as projects
from esocs.projects.models import Project, Workflow
from esocs.releases import services as releases
from esocs.releases.models import Export
from esocs.releases.queries import job_key
from esocs.training import services as training
from esocs.training.models import Comparison

PROJECT_NAME = "Simulated sky"
OWNER_LOGIN = "demo-owner"

INTRODUCTION = (
    "A survey telescope has taken more pictures and spectra than astronomers can look at. A network sorts most of "
    "them; the ones that confuse it come to you. Every answer counts once, is weighed by how well people know that "
    "kind of object, and helps to train the next network. The sky here is simulated, so that the result can be "
    "checked."
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How large the demonstration is, and what its workflows demand."""

    images: int = 3000
    spectra: int = 1000
    people: int = 40
    seed: int = 2026
    difficulty: float = 0.1
    image_seed_share: float = 0.2
    spectrum_seed_share: float = 0.35
    calibration_share: float = 0.15
    calibration_least: int = 250
    alpha: float = 0.05
    delta: float = 0.05
    left_for_visitors: int = 30

    def reserved(self, workflow: Workflow) -> tuple[int, int]:
        """(seed, calibration): how many subjects experts label first."""
        images = workflow.subject_kind == "image"
        total = self.images if images else self.spectra
        share = self.image_seed_share if images else self.spectrum_seed_share
        calibration = max(round(self.calibration_share * total), min(self.calibration_least, total // 4))
        return round(share * total), calibration


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where the demonstration plays: its project, workflows, people's way in, and the truth kept apart."""

    project: Project
    workflows: list[Workflow]
    url: str
    password: str
    truth_path: Path


def survey_folder() -> Path:
    return Path(settings.VAR) / "demo" / "survey"


def truth_path() -> Path:
    return Path(settings.VAR) / "demo" / "truth" / "truth.csv"


def make_survey(plan: Plan) -> None:
    """Write the simulated FITS files, unless this very survey lies there already."""
    marker = survey_folder().with_suffix(".json")
    wanted = json.dumps([plan.images, plan.spectra, plan.seed, plan.difficulty])
    if marker.exists() and marker.read_text() == wanted:
        print(f"  the survey lies in {survey_folder()}")
        return
    progress = Progress("simulating")
    made = simulate(
        directory=survey_folder(),
        truth_path=truth_path(),
        images=plan.images,
        spectra=plan.spectra,
        seed=plan.seed,
        difficulty=plan.difficulty,
        processes=2,
        progress=progress,
    )
    marker.write_text(wanted)
    progress.close(f"{made.images:,} images and {made.spectra:,} spectra, {made.size_bytes / 1e6:.0f} MB")


def set_stage(plan: Plan, *, url: str) -> Stage:
    """The owner, the project and its two workflows; made once, with a new password each time it is asked for."""
    password = secrets.token_urlsafe(12)
    owner = User.objects.filter(login=OWNER_LOGIN).first()
    if owner is None:
        owner = sign_up(login=OWNER_LOGIN, password=password, display_name="Demonstration owner")
    owner.set_password(password)
    owner.is_staff = owner.is_superuser = True
    owner.save()
    project = Project.objects.filter(owner=owner, display_name=PROJECT_NAME).first()
    if project is None:
        project = projects.create_project(
            owner=owner,
            display_name=PROJECT_NAME,
            description="Galaxies, stars, mergers and odd things in a simulated ESO survey",
            introduction=INTRODUCTION,
            live=True,
        )
        routing = {"alpha": plan.alpha, "delta": plan.delta, "audit_share": 0.02, "ood_p_min": 0.02}
        for name, kind, question, answers in (
            ("What is in the picture?", "image", "What is in the middle of this picture?", IMAGE_CLASSES),
            ("What is this the spectrum of?", "spectrum", "What is this the spectrum of?", SPECTRUM_CLASSES),
        ):
            projects.create_workflow(
                project=project,
                display_name=name,
                subject_kind=kind,
                question=question,
                answers=list(answers),
                routing=routing,
            )
    workflows = list(Workflow.objects.filter(project=project).order_by("id"))
    return Stage(project=project, workflows=workflows, url=url, password=password, truth_path=truth_path())


def ingest(stage: Stage, paths: list[Path]) -> None:
    """Read the files by the workers; what was read before is left alone."""
    files = archive.find_files(paths)
    source = " ".join(map(str, paths))
    batch = IngestBatch.objects.filter(source=source).order_by("-id").first()
    outcome = archive_queries.summarise_batch(batch) if batch else None
    if outcome is None or outcome.ingested + outcome.rejected < len(files):
        batch, _ = archive.order_ingest(files=files, source=source, project_id=stage.project.pk)
        complete_group(f"ingest/{batch.pk}", label=f"reading {len(files):,} files", workers=True)
        outcome = archive_queries.summarise_batch(batch)
    rejected = ", ".join(f"{n:,} {code}" for code, n in sorted(outcome.rejected_by_error.items()))
    print(f"  {outcome.ingested:,} ingested, {outcome.rejected:,} rejected{': ' + rejected if rejected else ''}")


def label_reserved(stage: Stage, plan: Plan) -> None:
    """Reserve the seed and the blind calibration sample; an expert answers both through the API."""
    truth = TruthBook(stage.truth_path)
    for workflow in stage.workflows:
        seed, calibration = plan.reserved(workflow)
        reserved = machine.reserve_samples(workflow=workflow, seed=seed, calibration=calibration, random_seed=plan.seed)
        ids = sorted(pk for purpose in reserved.values() for pk in purpose)
        jobs = order_expert_tasks(workflow.pk, ids)
        complete(jobs, label=f"preparing {len(ids):,} pictures for experts", workers=True)
        _answer_as_expert(stage, workflow, truth, plan)


def _answer_as_expert(stage: Stage, workflow: Workflow, truth: TruthBook, plan: Plan) -> None:
    waiting = SubjectStatus.objects.filter(
        workflow=workflow, audience=SubjectStatus.Audience.EXPERTS, state__in=["open", "contested"]
    ).count()
    progress = Progress(f"expert answers, {workflow}")
    answered = label_as_expert(
        url=stage.url,
        login=OWNER_LOGIN,
        password=stage.password,
        workflow_id=workflow.pk,
        truth=truth,
        seed=plan.seed,
        on_progress=lambda done: progress(done, waiting),
    )
    gold = GoldStandard.objects.filter(workflow=workflow).count()
    progress.close(f"{answered:,} new, {gold:,} in all")


def retrain(stage: Stage, *, seed: int = 0) -> list[Comparison]:
    """Train on what is labelled now, one workflow after the other, and compare with the champion."""
    comparisons = []
    for workflow in stage.workflows:
        training_set = training.freeze_training_set(workflow)
        job = enqueue(
            "training.retrain",
            key=f"set/{training_set.manifest_sha256[:32]}/seed/{seed}",
            payload={"workflow_id": workflow.pk, "seed": seed},
        )
        complete([job], label=f"training on {training_set.items.count():,} subjects, {workflow}", workers=True)
        comparison = Comparison.objects.filter(challenger__workflow=workflow).latest("id")
        print(f"    {comparison.challenger}: {comparison.verdict}. {comparison.reason}")
        comparisons.append(comparison)
    return comparisons


def classify_and_route(stage: Stage) -> None:
    """Predict everything with the champions, certify their thresholds, route, publish."""
    for workflow in stage.workflows:
        champion = machine.get_champion(workflow)
        complete(prediction.order_predictions(champion), label=f"classifying, {workflow}", workers=True)
        policy = champion.policies.order_by("-number").first() or training.calibrate(champion)
        routing.order_routes(policy)
        complete_group(f"route/{policy.pk}", label=f"routing, {workflow}", workers=True)


def vote(stage: Stage, plan: Plan, *, on_started: Callable[[], None] | None = None) -> None:
    """Simulated volunteers vote through the HTTP API while workers refit their skill; then experts take the rest."""
    truth = TruthBook(stage.truth_path)
    people = make_people(plan.people, seed=plan.seed)
    password = secrets.token_urlsafe(16)
    prepare_accounts(people, password=password)
    if on_started is not None:
        on_started()
    crowd = Crowd(
        people,
        url=stage.url,
        password=password,
        workflow_ids=[workflow.pk for workflow in stage.workflows],
        truth=truth,
        seed=plan.seed,
        left_alone=_left_for_visitors(stage, plan),
    )
    progress = Progress("volunteers' answers")
    tally = crowd.work(on_progress=lambda answers: progress(answers, 0))
    for workflow in stage.workflows:
        release_reservations(workflow.pk)
    progress.close(f"{tally.answers:,} answers by {len(tally.by_person)} people, {tally.refused:,} came too late")
    refit(stage)
    for workflow in stage.workflows:
        _answer_as_expert(stage, workflow, truth, plan)


def _left_for_visitors(stage: Stage, plan: Plan) -> frozenset[str]:
    """A few open subjects of each workflow, at random: whoever opens the site afterwards finds something to do."""
    chosen: list[int] = []
    for workflow in stage.workflows:
        rows = SubjectStatus.objects.filter(workflow=workflow, state="open", audience="volunteers")
        chosen += rows.order_by("random_key").values_list("subject_id", flat=True)[: plan.left_for_visitors]
    return frozenset(str(pk) for pk in chosen)


def refit(stage: Stage) -> None:
    """One last fit of everybody's skill, so that the newest answers count in it."""
    for workflow in list_workflows_with_new_rows():
        if workflow.pk in {w.pk for w in stage.workflows}:
            key = f"workflow/{workflow.pk}/last/{count_new_rows(workflow)}/{workflow.epochs.count()}"
            job = enqueue("crowd.refit", key=key, payload={"workflow_id": workflow.pk})
            complete([job], label=f"fitting skill, {workflow}", workers=True)


def export(stage: Stage) -> dict[str, Path]:
    """Export what scientists take home. Returns kind → file."""
    owner = stage.project.owner
    orders = [
        releases.request_export(project=stage.project, workflow=None, kind=kind, user=owner)
        for kind in Export.Kind.values
    ]
    keys = [job_key(order) for order in orders]
    complete(list_ids(kind="releases.export", keys=keys), label="exporting", workers=True)
    files = {}
    for order in orders:
        order.refresh_from_db()
        files[str(order.kind)] = Path(settings.EXPORT_ROOT) / order.path
    return files


def champions(stage: Stage) -> dict[int, ModelVersion]:
    """Workflow id → champion, where there is one."""
    rows = ModelVersion.objects.filter(workflow__in=stage.workflows, state=ModelVersion.State.CHAMPION)
    return {model.workflow_id: model for model in rows}


def unlabelled_reserved(stage: Stage) -> int:
    """Reserved subjects that still wait for an expert."""
    gold = GoldStandard.objects.filter(workflow__in=stage.workflows).values("subject_id")
    return ReservedSubject.objects.filter(workflow__in=stage.workflows).exclude(subject_id__in=gold).count()
