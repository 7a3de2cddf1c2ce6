"""Our own exports, and hostile files, imported: everything comes back, nothing counts twice, errors name the line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from esocs.accounts.models import User
from esocs.crowd.elsewhere import sum_again
from esocs.crowd.models import Classification, Consensus, GoldStandard, SubjectStatus
from esocs.crowd.refit import audit_consensus
from esocs.projects.models import Project, Subject, SubjectSet, Workflow
from esocs.projects.services import change_workflow
from esocs.releases.importing.reading import ImportFileError
from esocs.releases.importing.services import ImportIntoOwnProjectError, import_project
from esocs.releases.queries import Variant, export_path
from tests.contracts.test_aggregation import TASKS, TEXTS, V1_MARKS
from tests.releases.exporting import make_export, read_export, vote
from tests.support.factories import make_project, make_subject, make_user, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db

KINDS = ("workflows", "subjects", "classifications")
HEADER = [
    "classification_id", "user_name", "user_id", "user_ip", "workflow_id", "workflow_name", "workflow_version",
    "created_at", "gold_standard", "expert", "metadata", "annotations", "subject_data", "subject_ids",
]  # fmt: skip


@pytest.fixture
def source() -> Project:
    """A project with every kind of task, two versions, two sets, gold, a repeat and retired subjects."""
    workflow = make_workflow(answers=("Yes, 🌀", '=HYPERLINK("x")', "No\nor maybe"), question="Is it, say, round?")
    project = workflow.project
    subjects = [
        make_subject(project, published_in=workflow, metadata={"object": f"NGC {i}, é", "#n": 1.50, "retired": "x"})
        if i == 3
        else make_subject(project, published_in=workflow, metadata={"object": f"NGC {i}, é", "#n": i / 7})
        for i in range(4)
    ]
    people = [make_volunteer(anonymous=i % 2 == 0) for i in range(3)]
    for subject in subjects:
        for i, person in enumerate(people):
            vote(workflow, subject, person, i, ip_key="f00")
    workflow = change_workflow(workflow, tasks=TASKS, strings=TEXTS)
    marks = [{"frame": 0, "details": [], **mark} for mark in V1_MARKS]
    answers: list[dict[str, Any]] = [
        {"task": "T0", "value": 1}, {"task": "T1", "value": [1]}, {"task": "T2", "value": marks},
        {"task": "T3", "value": "text"}, {"task": "T5", "value": [{"value": "ori", "option": True}]},
    ]  # fmt: skip
    vote(workflow, subjects[0], make_volunteer(), annotations=answers)
    vote(workflow, subjects[0], people[1], annotations=answers)
    vote(workflow, subjects[1], project.owner.volunteer, 1, gold_standard=True)
    workflow.subject_sets.add(SubjectSet.objects.create(project=project, display_name="another"))
    SubjectSet.objects.get(display_name="another").members.create(subject=subjects[2])
    SubjectStatus.objects.filter(subject=subjects[2]).update(
        state="retired", retired_at="2026-01-02T03:04:05.678Z", retirement_reason="consensus", retirement_cause="rule"
    )
    return project


def export_to(project: Project, folder: Path) -> dict[str, Path]:
    return {kind: export_path(make_export(project, kind)) for kind in KINDS}


def rows_of(project: Project, kind: str) -> list[dict[str, str]]:
    return read_export(make_export(project, kind))


def import_files(files: dict[str, Path], project: Project | None = None) -> Project:
    project = project or make_project()
    import_project(project, **{f"{kind}_file": path for kind, path in files.items()})
    return project


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_of_an_import_is_what_was_imported(source: Project, tmp_path: Path, kind: str) -> None:
    files = export_to(source, tmp_path)
    with gzip.open(files[kind], "rt", encoding="utf-8", newline="") as file:
        given = list(csv.DictReader(file))
    copy = import_files(files)
    assert rows_of(copy, kind) == given
    import_files(files, copy)
    assert rows_of(copy, kind) == given


def test_the_copys_consensus_is_the_originals(source: Project, tmp_path: Path) -> None:
    copy = import_files(export_to(source, tmp_path))
    for workflow in Workflow.objects.filter(project=source):
        sum_again(workflow)  # by today's answers: they have changed
    [ours], [theirs] = Workflow.objects.filter(project=copy), Workflow.objects.filter(project=source)
    for subject in Subject.objects.filter(project=copy).select_related("imported"):
        original = Subject.objects.get(pk=subject.imported.foreign_id)
        made, known = (
            dict(Consensus.objects.filter(status__subject=each).values_list("task_key", "answer_counts"))
            for each in (subject, original)
        )
        assert {k: v for k, v in made.items() if any(v)} == {k: v for k, v in known.items() if any(v)}
    assert audit_consensus(ours) == []
    assert GoldStandard.objects.filter(workflow=ours).count() == GoldStandard.objects.filter(workflow=theirs).count()


def test_what_is_added_here_afterwards_is_counted_and_printed_as_ours(source: Project, tmp_path: Path) -> None:
    copy = import_files(export_to(source, tmp_path))
    workflow = Workflow.objects.get(project=copy)
    retired = SubjectStatus.objects.get(workflow=workflow, state="retired")
    Workflow.objects.update(active=True)
    SubjectStatus.objects.filter(pk=retired.pk).update(state="open", retired_at=None, retirement_reason="")
    added = vote(workflow, retired.subject, make_volunteer(), annotations=[{"task": "T0", "value": 0}])
    *_, last = rows_of(copy, "classifications")
    assert last["classification_id"] == str(added.id)
    assert last["subject_ids"] == str(retired.subject.imported.foreign_id)
    assert last["workflow_id"] == str(workflow.imported.foreign_id)
    assert json.loads(last["annotations"])[0]["value"] == TEXTS["T0.answers.0.label"]


def test_nobody_can_sign_in_as_an_imported_person_nor_is_a_local_one_taken_for_them(
    source: Project, tmp_path: Path
) -> None:
    before = set(User.objects.values_list("pk", flat=True))
    copy = import_files(export_to(source, tmp_path))
    added = User.objects.exclude(pk__in=before | {copy.owner_id})
    assert added.count() == 2
    assert not any(user.is_active or user.has_usable_password() for user in added)
    volunteers = Classification.objects.filter(workflow__project=copy).values("volunteer")
    assert not Classification.objects.filter(workflow__project=source, volunteer__in=volunteers).exists()


def test_only_what_came_since_a_printed_id_is_exported(source: Project, tmp_path: Path) -> None:
    copy = import_files(export_to(source, tmp_path))
    given = rows_of(copy, "classifications")
    variant = Variant(after_id=int(given[4]["classification_id"]))
    assert read_export(make_export(copy, variant=variant)) == given[5:]


def test_a_project_with_classifications_of_its_own_takes_no_import(source: Project, tmp_path: Path) -> None:
    with pytest.raises(ImportIntoOwnProjectError):
        import_files(export_to(source, tmp_path), source)


# --- hostile files ------------------------------------------------------------------------------------------------


def write_rows(path: Path, *changed: dict[str, str], columns: list[str] = HEADER) -> Path:
    row = {
        "classification_id": "7", "user_name": "somebody", "user_id": "3", "user_ip": "", "workflow_id": "10",
        "workflow_name": "W", "workflow_version": "1.1", "created_at": "2020-01-31 12:00:00 UTC", "metadata": "{}",
        "annotations": '[{"task":"T0","task_label":"Q?","value":"Yes"}]', "subject_data": '{"5":{"retired":null}}',
        "subject_ids": "5",
    }  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for number, change in enumerate(changed):
            writer.writerow({**row, "classification_id": str(7 + number), **change})
    return path


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"annotations": "[" * 100_000}, "nested too deep|not JSON"),
        ({"annotations": "{}"}, "another kind"),
        ({"annotations": '[{"task":"T0","value":NaN}]'}, "not JSON"),
        ({"annotations": '[{"task":"T0","value":"\\u0000"}]'}, "no text can hold"),
        ({"annotations": '[{"task":"T0","value":"\\ud800"}]'}, "no text can hold"),
        ({"metadata": "[]"}, "another kind"),
        ({"metadata": "x" * (9 << 20)}, "field|characters"),
        ({"user_name": "a\0b"}, "NUL|no CSV"),
        ({"user_name": "", "user_id": ""}, "no `user_name`"),
        ({"classification_id": "-1e9"}, "no number"),
        ({"classification_id": "99999999999999999999"}, "no number"),
        ({"workflow_version": "latest"}, "no version"),
        ({"created_at": "2020-02-31 12:00:00 UTC"}, "no time"),
        ({"created_at": "2999-01-01 12:00:00 UTC"}, "future"),
        ({"subject_ids": "5;DROP"}, "no number"),
        ({"subject_data": '{"5":[]}'}, "is none"),
        ({"subject_data": '{"5":{"retired":{"subject_id":5,"workflow_id":10,"id":"x"}}}'}, "retirement"),
    ],
)
def test_a_row_that_cannot_be_is_refused_by_its_line(change: dict[str, str], problem: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "bad.csv", {}, change)
    with pytest.raises(ImportFileError, match=problem) as caught:
        import_project(make_project(), classifications_file=path)
    assert caught.value.line >= 2
    assert not Classification.objects.exists()


def test_wrong_columns_a_short_row_and_no_text_at_all_are_refused(tmp_path: Path) -> None:
    columns = write_rows(tmp_path / "columns.csv", {}, columns=[*HEADER[:4], "x"])
    with pytest.raises(ImportFileError, match=r"columns\.csv, line 1: the columns workflow_id"):
        import_project(make_project(), classifications_file=columns)
    short = write_rows(tmp_path / "short.csv", {})
    short.write_text(short.read_text() + "1,2\n")
    with pytest.raises(ImportFileError, match=r"short\.csv, line 3: 2 cells"):
        import_project(make_project(), classifications_file=short)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x01" * 100)
    with pytest.raises(ImportFileError, match=r"UTF-8|missing"):
        import_project(make_project(), classifications_file=binary)
    with pytest.raises(ImportFileError, match="no such file"):
        import_project(make_project(), classifications_file=tmp_path / "absent.csv")


def test_an_import_that_stopped_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esocs.releases.importing.services.ROWS_AT_ONCE", 2)
    project = make_project()
    rows: list[dict[str, str]] = [{"user_name": f"p{i}", "user_id": str(i)} for i in range(5)]
    broken = write_rows(tmp_path / "a.csv", *rows[:3], {**rows[3], "created_at": "2999-01-01 00:00:00 UTC"}, rows[4])
    with pytest.raises(ImportFileError, match="line 5"):
        import_project(project, classifications_file=broken)
    mended = write_rows(tmp_path / "b.csv", *rows)
    assert Classification.objects.count() == 2
    import_project(project, classifications_file=mended)
    assert Classification.objects.count() == 5
    consensus = Consensus.objects.get(status__workflow__project=project)
    assert consensus.answer_counts == [5]


def test_the_command_makes_a_project_and_says_what_was_new(tmp_path: Path) -> None:
    owner, printed = make_user("owner"), io.StringIO()
    path = write_rows(tmp_path / "a.csv", {}, {"user_name": "other", "user_id": ""})
    call_command(
        "import_panoptes", "--create", "Copied", "--owner", owner.login, "--classifications", str(path), stdout=printed
    )
    assert "owner/copied: 0 new versions, 0 rows of subjects, 2 new of 2 classifications" in printed.getvalue()
    call_command("import_panoptes", "--project", "owner/copied", "--classifications", str(path), stdout=printed)
    assert "0 new of 2" in printed.getvalue()
    with pytest.raises(CommandError, match="import_file: "):
        call_command("import_panoptes", "--project", "owner/copied", "--classifications", str(tmp_path / "no.csv"))
    with pytest.raises(CommandError, match="--owner"):
        call_command("import_panoptes", "--create", "Another")
