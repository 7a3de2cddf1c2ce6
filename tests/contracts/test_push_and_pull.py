"""Subject sets go to a Panoptes server and projects come from one, by the real panoptes-client: the server is ours."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from PIL import Image

from esocs.crowd.models import Classification
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.models import Media, Project, Subject, SubjectSet
from esocs.releases.models import PushedSubject
from tests.releases.exporting import make_export, read_export, vote
from tests.support.factories import PASSWORD, make_project, make_subject, make_user, make_volunteer, make_workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of `owner` with a set of 12 subjects, their pictures on disk, and two votes each."""
    monkeypatch.setenv("PANOPTES_PASSWORD", PASSWORD)
    workflow = make_workflow(make_project(owner=make_user("owner"), display_name="Source"))
    people = [make_volunteer(anonymous=False), make_volunteer()]
    for number in range(12):
        subject = make_subject(workflow.project, published_in=workflow, metadata={"object": f"NGC {number}"})
        media = subject.media.get()
        path = Path(settings.MEDIA_ROOT) / media.path
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
        for value, person in enumerate(people):
            vote(workflow, subject, person, value)
    return workflow.project


def push(live_server: Any, project: Project, target: Project) -> str:
    [subject_set] = project.subject_sets.all()
    printed = io.StringIO()
    call_command(
        "push_panoptes", "--project", project.slug, "--subject-set", str(subject_set.pk), "--target", target.slug,
        "--endpoint", live_server.url, "--login", "owner", stdout=printed,
    )  # fmt: skip
    return printed.getvalue()


def test_a_subject_set_is_made_there_with_its_pictures_once(live_server: Any, project: Project) -> None:
    target = make_project(owner=project.owner, display_name="Target")
    assert push(live_server, project, target).startswith("12 subjects sent")
    made = SubjectSet.objects.get(project=target)
    subjects = Subject.objects.filter(set_members__subject_set=made)
    ours = {subject.metadata["object"]: subject for subject in project.subjects.all()}
    assert {subject.metadata["object"] for subject in subjects} == set(ours)
    for subject in subjects:
        theirs, own = (Path(settings.MEDIA_ROOT) / each.media.get().path for each in (
            subject, ours[subject.metadata["object"]],
        ))  # fmt: skip
        assert theirs.read_bytes() == own.read_bytes()
    assert push(live_server, project, target).startswith("0 subjects sent")
    assert Subject.objects.filter(project=target).count() == 12


def test_a_push_that_was_cut_short_goes_on_and_doubles_nothing(live_server: Any, project: Project) -> None:
    target = make_project(owner=project.owner, display_name="Target")
    push(live_server, project, target)
    kept = PushedSubject.objects.order_by("id")[:5].values_list("pk", flat=True)
    PushedSubject.objects.exclude(pk__in=list(kept)).delete()  # sent, and the answer never came
    taken = PushedSubject.objects.order_by("id")[0]
    Subject.objects.filter(pk=taken.remote_id).delete()
    taken.delete()
    assert push(live_server, project, target).startswith("1 subjects sent")
    assert SubjectSet.objects.get(project=target).members.count() == 12


def test_a_project_is_pulled_whole_and_again_only_what_is_new(
    live_server: Any, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def work_instead_of_sleeping(seconds: float) -> None:
        jobs.drain(list(Job.objects.filter(kind="releases.export").values_list("id", flat=True)))

    monkeypatch.setattr("panoptes_client.exportable.time.sleep", work_instead_of_sleeping)

    def pull(*options: str) -> str:
        printed = io.StringIO()
        call_command(
            "pull_panoptes", *options, "--source", project.slug, "--endpoint", live_server.url, "--login", "owner",
            "--generate", "--folder", str(tmp_path), stdout=printed,
        )  # fmt: skip
        return printed.getvalue()

    assert "24 new of 24 classifications" in pull("--create", "Copy", "--owner", "owner")
    copy = Project.objects.get(display_name="Copy")
    given, made = (
        [{name: row[name] for name in ("classification_id", "metadata", "annotations", "subject_ids")}
         for row in read_export(make_export(each))]
        for each in (project, copy)
    )  # fmt: skip
    assert made == given
    [workflow] = project.workflows.all()
    vote(workflow, project.subjects.first(), make_volunteer())
    assert "1 new of 25 classifications" in pull("--project", copy.slug)
    assert Classification.objects.filter(workflow__project=copy).count() == 25


def test_pictures_are_brought_along_once_and_only_what_may_be_shown(
    live_server: Any, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    settings.PUBLIC_URL = live_server.url
    monkeypatch.setattr(
        "panoptes_client.exportable.time.sleep",
        lambda seconds: jobs.drain(list(Job.objects.filter(kind="releases.export").values_list("id", flat=True))),
    )
    media = list(Media.objects.filter(subject__project=project).order_by("id"))
    (Path(settings.MEDIA_ROOT) / media[0].path).write_bytes(b"no picture at all")
    (Path(settings.MEDIA_ROOT) / media[1].path).unlink()

    def pull(*options: str) -> str:
        printed = io.StringIO()
        call_command(
            "pull_panoptes", *options, "--source", project.slug, "--endpoint", live_server.url, "--login", "owner",
            "--generate", "--media", "--folder", str(tmp_path), stdout=printed, stderr=printed,
        )  # fmt: skip
        return printed.getvalue()

    told = pull("--create", "Copy", "--owner", "owner")
    assert "10 pictures fetched, 2 left where they are" in told
    assert "upload_invalid" in told
    assert "404" in told
    copies = Media.objects.filter(subject__project__display_name="Copy")
    own = copies.exclude(path__startswith="http")
    assert own.count() == 10
    files = {(Path(settings.MEDIA_ROOT) / row.path).read_bytes() for row in own}
    assert files == {(Path(settings.MEDIA_ROOT) / row.path).read_bytes() for row in media[2:]}
    assert all(row.width_px and row.size_bytes for row in own)
    (Path(settings.MEDIA_ROOT) / media[0].path).write_bytes(files.pop())
    assert "1 pictures fetched, 1 left where they are" in pull("--project", "owner/copy")
    assert copies.exclude(path__startswith="http").count() == 11


def test_a_refusal_is_our_error(live_server: Any, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOPTES_PASSWORD", "wrong")
    with pytest.raises(CommandError, match="remote_server: "):
        push(live_server, project, project)
    monkeypatch.delenv("PANOPTES_PASSWORD")
    with pytest.raises(CommandError, match="PANOPTES_PASSWORD"):
        push(live_server, project, project)
