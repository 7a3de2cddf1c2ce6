"""The exports of extracts and reductions: the rows' columns, and a column for each key of the data."""

from __future__ import annotations

import csv
import gzip
import io
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.db import transaction

from esocs.crowd.caesar import deriving, objects
from esocs.crowd.caesar.extracting import write_machine_extracts
from esocs.projects.models import Workflow
from esocs.releases import queries
from esocs.releases.models import Export
from esocs.releases.queries import Variant
from esocs.releases.services import ExportVariantError, request_export
from tests.releases.exporting import make_export
from tests.support.factories import classify, make_user, make_workflow, publish

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    made = make_workflow(retirement={"criteria": "never_retire", "options": {}})
    objects.save_workflow(made, {})
    objects.save_extractor(made, {"type": "question", "key": "q"})
    network = objects.save_extractor(made, {"type": "who", "key": "network"})
    for kind, key, more in (
        ("consensus", "c", {}),
        ("stats", "s", {"filters": {"extractor_keys": ["q"]}}),
        ("unique_count", "u", {"field": "=0", "topic": "reduce_by_subject"}),
        ("count", "of_user", {"topic": "reduce_by_user"}),
    ):
        objects.save_reducer(made, {"type": kind, "key": key, **more})
    subjects = publish(made, 2)
    author = make_user()
    classify(made, subjects[0], author.volunteer, T0=0)
    classify(made, subjects[1], T0=1)
    write_machine_extracts([(network.pk, subjects[0].pk, {"label": 'a,b\n"c"', "=0": 0.5, "list": [1, 2]})])
    with transaction.atomic():
        deriving.derive_workflow(made.pk)()
    return made


def read(workflow: Workflow, kind: str) -> list[dict[str, str]]:
    export = make_export(workflow.project, kind=kind)
    text = gzip.decompress(queries.export_path(export).read_bytes()).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert export.row_count == len(rows)
    return rows


def test_extracts_have_a_column_for_each_key(workflow: Workflow) -> None:
    rows = read(workflow, "extracts")
    assert list(rows[0]) == [
        "id", "extractor_key", "workflow_id", "subject_id", "classification_id", "classification_at", "user_id",
        "machine_data", "created_at", "updated_at", "data.0", "data.1", "data.=0", "data.label", "data.list",
        "data.user_id",
    ]  # fmt: skip
    (machine,) = [row for row in rows if row["machine_data"] == "true"]
    assert (machine["data.label"], machine["data.=0"], machine["data.list"]) == ('a,b\n"c"', "0.5", "[1,2]")
    assert (machine["classification_id"], machine["user_id"], machine["data.0"]) == ("", "", "")
    questions = [row for row in rows if row["extractor_key"] == "q"]
    assert [(row["data.0"], row["data.1"], bool(row["user_id"])) for row in questions] == [
        ("1", "", True),
        ("", "1", False),
    ]


def test_reductions_have_them_too_and_one_value_has_a_column_of_its_own(workflow: Workflow) -> None:
    rows = read(workflow, "subject_reductions")
    columns = {"id", "reducer_key", "workflow_id", "subject_id", "subgroup", "created_at", "updated_at"}
    data = {"data", "data.0", "data.1", "data.agreement", "data.most_likely", "data.num_votes"}
    assert set(rows[0]) == columns | data
    found = {(row["reducer_key"], row["subject_id"]): row for row in rows}
    subjects = sorted({row["subject_id"] for row in rows}, key=int)
    assert found["s", subjects[0]]["data.0"] == "1"
    assert found["s", subjects[1]]["data.1"] == "1"
    assert found["u", subjects[0]]["data"] == "1"
    (of_user,) = read(workflow, "user_reductions")
    assert (of_user["reducer_key"], of_user["data.classifications"]) == ("of_user", "1")


def test_they_are_to_be_had_as_parquet_and_of_one_workflow_and_not_of_a_subject_set(workflow: Workflow) -> None:
    other = make_workflow(workflow.project)
    empty = make_export(workflow.project, workflow=other, kind="extracts")
    assert empty.row_count == 0
    export = make_export(workflow.project, workflow=workflow, kind="extracts", variant=Variant(format="parquet"))
    table: Any = pq.read_table(queries.export_path(export))
    assert table.num_rows == 5
    for subject_set, variant in (
        (workflow.subject_sets.get(), None),
        (None, Variant(pseudonymised=True)),
        (None, Variant(after_id=1)),
    ):
        with pytest.raises(ExportVariantError):
            request_export(
                project=workflow.project, kind=Export.Kind.EXTRACTS, subject_set=subject_set, variant=variant
            )
