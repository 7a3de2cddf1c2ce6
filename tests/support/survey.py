"""Small simulated files for tests, and the ledger's jobs run in the test's own process."""

from __future__ import annotations

from pathlib import Path

from esocs.archive import services as archive
from esocs.archive.models import IngestBatch
from esocs.demo.survey.difficulty import Kind
from esocs.demo.survey.simulation import make_object
from esocs.demo.survey.truth import TruthRow
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.models import Project

SEED = 7


def write_simulated(folder: Path, *, kind: Kind, count: int, first: int = 0) -> list[TruthRow]:
    """Write files of easy simulated objects. Returns the truth of each; `file_name` is its file in the folder."""
    rows = []
    for index in range(first, first + count):
        content, row = make_object(kind=kind, index=index, seed=SEED, difficulty=0.0)
        (folder / row.file_name).write_bytes(content)
        rows.append(row)
    return rows


def run_jobs() -> int:
    """Run every due job, and those that they order, until none is left. Returns how many ran."""
    ran = 0
    while ids := list(
        Job.objects.filter(state=Job.State.QUEUED, attempts=0).order_by("id").values_list("id", flat=True)
    ):
        jobs.drain(ids)
        ran += len(ids)
    return ran


def ingest(files: list[Path], *, project: Project | None = None) -> IngestBatch:
    """Order the files and have them read."""
    batch, _ = archive.order_ingest(files=files, source="test", project_id=project.pk if project else None)
    run_jobs()
    return batch


def replay(kind: str = "") -> int:
    """Have every finished job run once more, as after a lost lease. Returns how many."""
    done = Job.objects.filter(state=Job.State.DONE)
    again = done.filter(kind=kind) if kind else done
    count = again.update(state=Job.State.QUEUED, attempts=0, finished_at=None)
    run_jobs()
    return count
