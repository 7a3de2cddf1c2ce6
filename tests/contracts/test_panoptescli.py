"""The real panoptescli 1.2.1, unmodified, in its own virtual environment, against a live server."""

from __future__ import annotations

import csv
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from django.db import connections

from esocs.crowd.models import SubjectStatus
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects import models as rows
from tests.contracts.test_panoptes_client_writes import png
from tests.releases.exporting import vote
from tests.support.factories import PASSWORD, make_project, make_subject, make_user, make_volunteer, make_workflow
from tests.support.foreign_programs import installed_program

pytestmark = pytest.mark.django_db(transaction=True)

Cli = Callable[..., str]

WALKED = {
    "configure": "writes the program's own file and calls nobody; it takes https addresses alone",
    "info": "test_it_knows_who_asks",
    "inaturalist import-observations": "test_what_this_site_has_not_is_said",
    "project create": "test_projects_are_listed_made_changed_and_deleted",
    "project delete": "test_projects_are_listed_made_changed_and_deleted",
    "project download": "test_classifications_are_downloaded",
    "project info": "test_projects_are_listed_made_changed_and_deleted",
    "project ls": "test_projects_are_listed_made_changed_and_deleted",
    "project modify": "test_projects_are_listed_made_changed_and_deleted",
    "subject delete": "test_sets_and_subjects_are_changed_and_deleted",
    "subject info": "test_sets_and_subjects_are_changed_and_deleted",
    "subject ls": "test_a_manifest_of_files_becomes_a_subject_set",
    "subject update-metadata": "test_sets_and_subjects_are_changed_and_deleted",
    "subject-set add-subjects": "test_sets_and_subjects_are_changed_and_deleted",
    "subject-set create": "test_a_manifest_of_files_becomes_a_subject_set",
    "subject-set delete": "test_sets_and_subjects_are_changed_and_deleted",
    "subject-set download-classifications": "test_classifications_are_downloaded",
    "subject-set info": "test_sets_and_subjects_are_changed_and_deleted",
    "subject-set ls": "test_a_manifest_of_files_becomes_a_subject_set",
    "subject-set modify": "test_sets_and_subjects_are_changed_and_deleted",
    "subject-set remove-subjects": "test_sets_and_subjects_are_changed_and_deleted",
    "subject-set upload-subjects": "test_a_manifest_of_files_becomes_a_subject_set",
    "user delete": "test_what_this_site_has_not_is_said",
    "user info": "test_it_knows_who_asks",
    "user token": "test_it_knows_who_asks",
    "workflow activate": "test_workflows_are_closed_opened_and_their_subjects_retired",
    "workflow add-subject-sets": "test_a_manifest_of_files_becomes_a_subject_set",
    "workflow deactivate": "test_workflows_are_closed_opened_and_their_subjects_retired",
    "workflow delete": "test_workflows_are_closed_opened_and_their_subjects_retired",
    "workflow download-classifications": "test_classifications_are_downloaded",
    "workflow get-batch-aggregation": "test_a_workflow_is_aggregated",
    "workflow get-batch-aggregation-links": "test_a_workflow_is_aggregated",
    "workflow get-batch-aggregation-status": "test_a_workflow_is_aggregated",
    "workflow info": "test_workflows_are_closed_opened_and_their_subjects_retired",
    "workflow ls": "test_workflows_are_closed_opened_and_their_subjects_retired",
    "workflow remove-subject-sets": "test_a_manifest_of_files_becomes_a_subject_set",
    "workflow retire-subjects": "test_workflows_are_closed_opened_and_their_subjects_retired",
    "workflow run-aggregation": "test_a_workflow_is_aggregated",
    "workflow unretire-subject-sets": "test_workflows_are_closed_opened_and_their_subjects_retired",
    "workflow unretire-subjects": "test_workflows_are_closed_opened_and_their_subjects_retired",
}
"""Every command of the program, and the test that walks it."""

COMMANDS = """
from panoptes_cli.scripts.panoptes import cli
for name, command in sorted(cli.commands.items()):
    for part in sorted(command.commands) if hasattr(command, "commands") else [""]:
        print(f"{name} {part}".strip())
"""


@pytest.fixture
def project() -> rows.Project:
    return make_project(owner=make_user("owner"), display_name="ESO test", live=False)


@pytest.fixture
def cli(live_server: object, project: rows.Project, tmp_path: Path) -> Cli:
    """Runs a command as a person does who wrote their name and the address into the program's configuration."""
    program = installed_program("panoptescli==1.2.1", "panoptes-client==1.7.1", program="panoptes")
    home = tmp_path / "home"
    (home / ".panoptes").mkdir(parents=True)
    url = live_server.url  # type: ignore[attr-defined]
    configuration = {"endpoint": url, "username": "owner", "password": PASSWORD}
    (home / ".panoptes" / "config.yml").write_text(yaml.safe_dump(configuration))

    def run(*arguments: object, fails: bool = False) -> str:
        done = subprocess.run(
            [program, *map(str, arguments)],
            env={**os.environ, "HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stderr
        return (done.stderr if fails else done.stdout).strip()

    return run


@pytest.fixture
def worker() -> Iterator[None]:
    """Makes ordered exports while the program waits for them."""
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(0.1):
                jobs.drain(list(Job.objects.filter(kind="releases.export").values_list("id", flat=True)))
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_every_command_is_walked() -> None:
    python = installed_program("panoptescli==1.2.1", "panoptes-client==1.7.1", program="python")
    listed = subprocess.run([python, "-c", COMMANDS], capture_output=True, text=True, check=True).stdout.split("\n")
    assert sorted(WALKED) == sorted(filter(None, listed))
    words = Path(__file__).read_text()
    for command, test in WALKED.items():
        if command == "configure":
            continue
        body = words.partition(f"def {test}(")[2].partition("\ndef test_")[0]
        name, *part = command.split()
        assert all(f'"{word}"' in body for word in (name, *part)), f"{command} is not called in {test}"


def test_projects_are_listed_made_changed_and_deleted(cli: Cli, project: rows.Project) -> None:
    assert cli("project", "ls") == f"{project.pk} owner/eso-test ESO test"
    assert cli("project", "ls", "-q", "-s", "owner/eso-test") == str(project.pk)
    assert cli("project", "ls", "-q", "nothing", "alike") == ""
    made = cli("project", "create", "-q", "Nebulae", "Which are planetary?")
    assert cli("project", "modify", made, "-n", "Planetary nebulae", "--private").startswith("*")
    row = rows.Project.objects.get(pk=made)
    assert (row.display_name, row.private, row.description) == ("Planetary nebulae", True, "Which are planetary?")
    assert yaml.safe_load(cli("project", "info", made))["slug"] == "owner/nebulae"
    cli("project", "delete", "-f", made)
    assert not rows.Project.objects.filter(pk=made).exists()


def test_a_manifest_of_files_becomes_a_subject_set(cli: Cli, project: rows.Project, tmp_path: Path) -> None:
    workflow = make_workflow(project)
    subject_set = cli("subject-set", "create", "-q", project.pk, "cli set")
    (tmp_path / "t.png").write_bytes(png())
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("image,ra,%dec\nt.png,10.5,3.2\nt.png,11.5,3.3\n")
    cli("subject-set", "upload-subjects", subject_set, manifest)
    row = rows.SubjectSet.objects.get(pk=subject_set)
    assert row.metadata == {"indexFields": "dec"}
    subjects = rows.Subject.objects.filter(set_members__subject_set=row).order_by("id")
    metadata = [subject.metadata for subject in subjects]
    assert sorted(each["ra"] for each in metadata) == ["10.5", "11.5"]
    assert not rows.Media.objects.filter(pending=True).exists()
    cli("workflow", "add-subject-sets", workflow.pk, subject_set)
    assert SubjectStatus.objects.filter(workflow=workflow, state="open").count() == 2
    assert cli("subject", "ls", "-q", "-s", subject_set).split() == [str(subject.pk) for subject in subjects]
    assert ".png" in cli("subject", "ls", subjects[0].pk)
    assert cli("subject-set", "ls", "-w", workflow.pk, "-q").split()[-1] == subject_set
    cli("workflow", "remove-subject-sets", workflow.pk, subject_set)
    assert not workflow.subject_sets.filter(pk=subject_set).exists()


def test_remote_files_are_taken_by_address(cli: Cli, project: rows.Project, tmp_path: Path) -> None:
    subject_set = cli("subject-set", "create", "-q", project.pk, "remote")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("url\nhttps://example.org/x.jpg\n")
    cli("subject-set", "upload-subjects", "-r", 1, "-m", "image/jpeg", subject_set, manifest)
    media = rows.Media.objects.get()
    assert (media.path, media.media_type, media.pending) == ("https://example.org/x.jpg", "image/jpeg", False)


def test_sets_and_subjects_are_changed_and_deleted(cli: Cli, project: rows.Project, tmp_path: Path) -> None:
    subject_set = cli("subject-set", "create", "-q", project.pk, "first name")
    assert cli("subject-set", "modify", subject_set, "-n", "second name") == f"{subject_set} second name"
    subject = make_subject(project, metadata={"kept": "1"})
    cli("subject-set", "add-subjects", subject_set, subject.pk)
    assert rows.SetMemberSubject.objects.filter(subject=subject, subject_set=subject_set).exists()
    table = tmp_path / "metadata.csv"
    table.write_text(f"subject_id,#name\n{subject.pk},M 51\n")
    cli("subject", "update-metadata", table)
    subject.refresh_from_db()
    assert subject.metadata == {"kept": "1", "#name": "M 51"}
    assert yaml.safe_load(cli("subject", "info", subject.pk))["metadata"] == subject.metadata
    assert yaml.safe_load(cli("subject-set", "info", subject_set))["display_name"] == "second name"
    cli("subject-set", "remove-subjects", subject_set, subject.pk)
    cli("subject", "delete", "-f", subject.pk)
    cli("subject-set", "delete", "-f", subject_set)
    assert not rows.Subject.objects.exists()
    assert not rows.SubjectSet.objects.filter(pk=subject_set).exists()


def test_workflows_are_closed_opened_and_their_subjects_retired(cli: Cli, project: rows.Project) -> None:
    workflow = make_workflow(project, display_name="Round?")
    subject = make_subject(project, published_in=workflow)
    assert cli("workflow", "ls", "-p", project.pk) == f"{workflow.pk} Round?"
    assert yaml.safe_load(cli("workflow", "info", workflow.pk))["version"] == workflow.version
    cli("workflow", "deactivate", workflow.pk)
    workflow.refresh_from_db()
    assert not workflow.active
    cli("workflow", "activate", workflow.pk)
    cli("workflow", "retire-subjects", workflow.pk, subject.pk, "-r", "blank")
    status = SubjectStatus.objects.get(workflow=workflow, subject=subject)
    assert (status.state, status.retirement_reason) == ("retired", "nothing_here")
    cli("workflow", "unretire-subjects", workflow.pk, subject.pk)
    cli("workflow", "retire-subjects", workflow.pk, subject.pk)
    cli("workflow", "unretire-subject-sets", workflow.pk, workflow.subject_sets.get().pk)
    status.refresh_from_db()
    assert status.state == "open"
    cli("workflow", "delete", "-f", workflow.pk)
    assert not rows.Workflow.objects.exists()


@pytest.mark.usefixtures("worker")
def test_classifications_are_downloaded(cli: Cli, project: rows.Project, tmp_path: Path) -> None:
    workflow = make_workflow(project, answers=("Yes, 🌀", "No"))
    vote(workflow, make_subject(project, published_in=workflow), make_volunteer())
    subject_set = workflow.subject_sets.get()
    for pk, *command in (
        (project.pk, "project", "download"),
        (workflow.pk, "workflow", "download-classifications"),
        (subject_set.pk, "subject-set", "download-classifications"),
    ):
        file = tmp_path / f"{command[0]}.csv"
        cli(*command, "-g", pk, file)
        with file.open(newline="") as opened:
            [row] = csv.DictReader(opened)
        assert "Yes, 🌀" in row["annotations"]


def test_it_knows_who_asks(cli: Cli) -> None:
    assert yaml.safe_load(cli("user", "info"))["login"] == "owner"
    assert cli("user", "token").startswith("Token: ey")
    assert "Panoptes CLI version: 1.2.1" in cli("info")


def test_what_this_site_has_not_is_said(cli: Cli, project: rows.Project) -> None:
    subject_set = rows.SubjectSet.objects.create(project=project, display_name="birds")
    said = cli("inaturalist", "import-observations", "--taxon-id", 3, "--subject-set-id", subject_set.pk, fails=True)
    assert "503" in said, "of an answer of this kind the program shows the status alone"
    said = cli("user", "delete", "-f", project.owner_id, fails=True)
    assert "A program erases no account." in said
    project.owner.refresh_from_db()
    assert project.owner.is_active


@pytest.mark.usefixtures("worker")
def test_a_workflow_is_aggregated(cli: Cli, project: rows.Project) -> None:
    workflow = make_workflow(project)
    vote(workflow, make_subject(project, published_in=workflow), make_volunteer())
    assert "'uuid'" in cli("workflow", "run-aggregation", workflow.pk)
    assert "'uuid'" in cli("workflow", "get-batch-aggregation", workflow.pk)
    assert cli("workflow", "get-batch-aggregation-status", workflow.pk) in {"pending", "completed"}
    # The program writes Zooniverse's own store into these addresses; ours stands beside, in the aggregation itself.
    assert f"{workflow.pk}_reductions.csv" in cli("workflow", "get-batch-aggregation-links", workflow.pk)
    cli("workflow", "run-aggregation", "-d", workflow.pk)
