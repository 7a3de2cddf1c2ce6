"""What the exports page shows: every kind of export of a project, with its latest order."""

from __future__ import annotations

from dataclasses import dataclass

from esocs.jobs.models import Job
from esocs.projects.models import Project, Workflow
from esocs.releases import queries
from esocs.releases.models import Export

ABOUT = {
    Export.Kind.CLASSIFICATIONS: "Every classification as it was given, in Panoptes’ columns.",
    Export.Kind.CONSENSUS: "One row a subject: the consensus, its probability, the votes and the machine’s prediction.",
    Export.Kind.SUBJECTS: "The subjects with their locations and metadata, in Panoptes’ columns.",
    Export.Kind.WORKFLOWS: "The workflows, one row a version, in Panoptes’ columns.",
    Export.Kind.CREDITS: "The volunteers who chose a name to be credited by, and how much each of them classified.",
}
# Panoptes has these for a whole project only.
PROJECT_ONLY = {Export.Kind.SUBJECTS, Export.Kind.WORKFLOWS, Export.Kind.CREDITS}


@dataclass(frozen=True, kw_only=True)
class ExportState:
    """One order of an export as people see it."""

    export: Export
    failure: str
    done: int
    total: int

    @property
    def ready(self) -> bool:
        return self.export.state == Export.State.READY

    @property
    def running(self) -> bool:
        return not self.ready and not self.failure

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 0


@dataclass(frozen=True, kw_only=True)
class ExportOffer:
    """A kind of export that can be ordered, and its latest order if there was one."""

    kind: str
    name: str
    about: str
    workflow: Workflow | None
    latest: ExportState | None

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.workflow.pk if self.workflow else 'project'}"


def read_state(export: Export) -> ExportState:
    """How far the export's job is."""
    job = Job.objects.filter(kind="releases.export", key=queries.job_key(export)).first()
    return ExportState(
        export=export,
        failure=queries.find_failure(export),
        done=job.progress_done if job else 0,
        total=job.progress_total if job else 0,
    )


def read_offer(project: Project, *, kind: str, workflow: Workflow | None) -> ExportOffer:
    latest = queries.find_latest_export(project=project, kind=kind, workflow=workflow)
    return ExportOffer(
        kind=kind,
        name=Export.Kind(kind).label,
        about=ABOUT[Export.Kind(kind)],
        workflow=workflow,
        latest=read_state(latest) if latest else None,
    )


def list_offers(project: Project) -> list[ExportOffer]:
    """All exports of the project: of each workflow, and of the whole."""
    workflows = list(Workflow.objects.filter(project=project).order_by("id"))
    offers = []
    for kind in ABOUT:
        scopes: list[Workflow | None] = [None] if kind in PROJECT_ONLY else [*workflows]
        offers += [read_offer(project, kind=kind, workflow=workflow) for workflow in scopes]
    return offers
