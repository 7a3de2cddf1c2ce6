"""Import of genuine export files: what our export of it prints is what was read."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from esocs.crowd.models import Answer, Classification, Consensus
from esocs.crowd.refit import audit_consensus
from esocs.projects.models import Project, Workflow
from esocs.releases.importing.services import import_project
from tests.releases.exporting import make_export, read_export
from tests.support.factories import make_project

pytestmark = pytest.mark.django_db

HEADER = (
    "classification_id", "user_name", "user_id", "user_ip", "workflow_id", "workflow_name", "workflow_version",
    "created_at", "gold_standard", "expert", "metadata", "annotations", "subject_data", "subject_ids",
)  # fmt: skip
GENUINE = ["camcat_sa", "chicago_sample_version5", "kenya-sample", "wildcam_gorongosa_sample"]


def read_csv(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(1 << 26)
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: row[name] for name in HEADER if name in row} for row in csv.DictReader(file)]


def classifications_of(project: Project) -> list[dict[str, str]]:
    return read_export(make_export(project))


@pytest.mark.real_data
@pytest.mark.parametrize("name", GENUINE)
def test_an_export_of_a_genuine_file_is_that_file(name: str, real_data: Path) -> None:
    project, path = make_project(), real_data / "panoptes" / f"{name}.csv"
    given = read_csv(path)
    done = import_project(project, classifications_file=path)
    assert done.classifications == len(given) == Classification.objects.count()
    assert classifications_of(project) == given
    again = import_project(project, classifications_file=path)
    assert (again.classifications, again.classification_rows) == (0, len(given))
    assert classifications_of(project) == given


@pytest.mark.real_data
def test_what_is_kept_beside_the_rows_is_only_what_they_would_print_otherwise(real_data: Path) -> None:
    project = make_project()
    import_project(project, classifications_file=real_data / "panoptes" / "kenya-sample.csv")
    kept: Counter[str] = Counter()
    for row in Classification.objects.select_related("imported"):
        kept.update((row.imported.cells or {}).keys())
    # R wrote NA into empty cells. Some repeats are not marked in the file: Panoptes counts those of anonymous people.
    assert kept.pop("gold_standard") == kept.pop("expert") == 2000
    assert kept.pop("metadata") <= 13
    kept.pop("user_id", None)
    assert not kept, kept


@pytest.mark.real_data
def test_votes_count_exactly_once_into_the_consensus(real_data: Path) -> None:
    project, path = make_project(), real_data / "panoptes" / "kenya-sample.csv"
    import_project(project, classifications_file=path)
    votes: dict[tuple[str, str], dict[str, int]] = {}
    seen = set()
    for row in read_csv(path):
        if (row["user_name"], row["subject_ids"], row["workflow_id"]) in seen:
            continue
        seen.add((row["user_name"], row["subject_ids"], row["workflow_id"]))
        for annotation in json.loads(row["annotations"]):
            if annotation["task"] == "T1" and isinstance(annotation["value"], str):
                counts = votes.setdefault((row["workflow_id"], row["subject_ids"]), {})
                counts[annotation["value"]] = counts.get(annotation["value"], 0) + 1
    assert Classification.objects.filter(counted=True).count() == len(seen)
    assert sum(sum(counts.values()) for counts in votes.values()) > 100
    for workflow in Workflow.objects.filter(project=project):
        assert audit_consensus(workflow) == []
    singles = Answer.objects.filter(counted=True, task_key="T1").count()
    assert singles == sum(sum(counts.values()) for counts in votes.values())
    assert Consensus.objects.filter(status__workflow__project=project).exists()
    import_project(project, classifications_file=path)
    assert Answer.objects.filter(counted=True, task_key="T1").count() == singles
