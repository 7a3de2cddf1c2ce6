"""Projects, workflows and their versions, subjects out of planes, and the pictures people see."""

from __future__ import annotations

import json
import uuid
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.core.management import call_command
from PIL import Image

from classifier.display_plane import decode_display_plane
from esocs.archive.models import Product
from esocs.projects import from_planes, queries, services
from esocs.projects.models import Media, SetMemberSubject, Subject, WorkflowVersion
from esocs.projects.rules import InvalidWorkflowError, build_question
from tests.classifier.fits.files import galaxy, write_image, write_spectrum
from tests.support.factories import make_project, make_user, make_workflow
from tests.support.survey import ingest

pytestmark = pytest.mark.django_db


def test_a_project_has_its_owner_and_an_address() -> None:
    owner = make_user("Ada.L")
    project = services.create_project(owner=owner, display_name="Odd Galaxies")
    assert project.slug == "adal/odd-galaxies"
    assert not project.live
    assert queries.has_role(project=project, user_id=owner.pk, roles=("owner",))
    assert not queries.has_role(project=project, user_id=make_user().pk, roles=("owner", "expert"))
    assert not queries.has_role(project=project, user_id=None, roles=("owner",))


def test_an_owner_has_one_project_of_a_name() -> None:
    owner = make_user()
    services.create_project(owner=owner, display_name="Odd Galaxies")
    with pytest.raises(services.ProjectExistsError) as refused:
        services.create_project(owner=owner, display_name="odd galaxies")
    assert (refused.value.code, refused.value.status) == ("project_exists", 409)
    services.create_project(owner=make_user(), display_name="Odd Galaxies")


def test_two_owners_whose_names_shorten_alike_both_get_a_project() -> None:
    first = services.create_project(owner=make_user("a.b"), display_name="Sky")
    second = services.create_project(owner=make_user("ab"), display_name="Sky")
    assert first.slug != second.slug


def test_a_project_whose_name_has_no_latin_letter_has_an_address_too() -> None:
    owner = make_user()
    first = services.create_project(owner=owner, display_name="银河")
    second = services.create_project(owner=owner, display_name="星系")
    assert first.slug != second.slug
    for project in (first, second):
        assert project.slug.rpartition("/")[2]
        assert queries.get_project(project.slug) == project


def test_a_project_is_found_by_id_and_by_slug_in_any_case() -> None:
    project = make_project()
    assert queries.get_project(project.pk) == queries.get_project(str(project.pk)) == project
    assert queries.get_project(project.slug.upper()) == project
    with pytest.raises(queries.ProjectNotFoundError) as refused:
        queries.get_project("nobody/nothing")
    assert project.slug in refused.value.hint


def test_giving_a_role_twice_changes_nothing() -> None:
    project, user = make_project(), make_user()
    first = services.add_role(project=project, user=user, role="expert")
    assert services.add_role(project=project, user=user, role="expert") == first


def test_a_workflow_starts_at_version_1_1_with_a_subject_set() -> None:
    workflow = make_workflow()
    assert workflow.version == "1.1"
    assert WorkflowVersion.objects.get(workflow=workflow).tasks == workflow.tasks
    assert workflow.subject_sets.count() == 1
    with pytest.raises(InvalidWorkflowError):
        make_workflow(answers=("One",))


def test_new_tasks_are_a_major_version_and_new_words_a_minor_one() -> None:
    workflow = make_workflow(answers=("Yes", "No"))
    words = {**workflow.strings, "T0.question": "Surely?"}
    assert services.change_workflow(workflow, strings=words).version == "1.2"
    assert services.change_workflow(workflow, strings=words).version == "1.2"
    tasks, strings = build_question(question="Really?", answers=["Yes", "No", "Perhaps"])
    assert services.change_workflow(workflow, tasks=tasks, strings=strings).version == "2.3"
    versions = WorkflowVersion.objects.filter(workflow=workflow).order_by("id")
    assert [f"{v.major}.{v.minor}" for v in versions] == ["1.1", "1.2", "2.3"]
    assert len(versions[0].tasks["T0"]["answers"]) == 2
    assert versions[0].strings["T0.question"] == "Is it a galaxy?"


def test_workflows_are_selected_by_name_or_by_project() -> None:
    workflow, other = make_workflow(), make_workflow()
    assert queries.select_workflows(project=workflow.project) == [workflow]
    assert queries.select_workflows(workflow_id=other.pk) == [other]
    with pytest.raises(queries.WorkflowAmbiguousError):
        queries.select_workflows(project=workflow.project, workflow_id=other.pk)


@pytest.fixture
def products(tmp_path: Path) -> list[int]:
    files = [write_image(tmp_path / f"{seed}.fits", galaxy(64, 64, seed=seed)) for seed in range(2)]
    ingest([*files, write_spectrum(tmp_path / "s.fits")])
    return list(Product.objects.filter(state="ingested").values_list("id", flat=True))


def test_making_subjects_twice_makes_them_once(products: list[int]) -> None:
    project = make_project()
    make_workflow(project)
    assert from_planes.make_subjects(project=project, product_ids=products) == 3
    assert from_planes.make_subjects(project=project, product_ids=products) == 0
    assert Subject.objects.filter(project=project).count() == 3
    assert SetMemberSubject.objects.count() == 2  # the workflow asks about images


def test_a_workflow_made_later_gets_the_subjects_when_they_are_made_again(products: list[int]) -> None:
    project = make_project()
    from_planes.make_subjects(project=project, product_ids=products)
    workflow = make_workflow(project, kind="spectrum")
    assert not services.subjects_of(workflow).exists()
    from_planes.make_subjects(project=project, product_ids=products)
    assert [subject.kind for subject in services.subjects_of(workflow)] == ["spectrum"]


def test_two_projects_may_ask_about_the_same_product(products: list[int]) -> None:
    first, second = make_project(), make_project()
    assert from_planes.make_subjects(project=first, product_ids=products) == 3
    assert from_planes.make_subjects(project=second, product_ids=products) == 3


def test_a_picture_is_rendered_once_under_an_unguessable_name_with_its_extension(products: list[int]) -> None:
    project = make_project()
    from_planes.make_subjects(project=project, product_ids=products)
    subjects = list(Subject.objects.filter(kind="image").select_related("plane__shard"))
    services.render_subjects(subjects)()
    files = sorted(path.relative_to(settings.MEDIA_ROOT) for path in Path(settings.MEDIA_ROOT).rglob("*.jpg"))
    media = list(Media.objects.filter(role="location").order_by("path"))
    assert [item.path for item in media] == [str(file) for file in files]
    assert len(media) == len(subjects) == 2
    for item in media:
        folder, _, name = item.path.partition("/")
        assert uuid.UUID(name.removesuffix(".jpg")).version == 4
        assert name.startswith(folder)
        assert item.url == f"/media/{item.path}"
        content = Path(settings.MEDIA_ROOT) / item.path
        assert content.stat().st_size == item.size_bytes
        with Image.open(content) as picture:
            assert (picture.format, picture.size) == ("JPEG", (item.width_px, item.height_px))
    services.render_subjects(subjects)()
    assert Media.objects.filter(role="location").count() == 2
    assert len(list(Path(settings.MEDIA_ROOT).rglob("*.jpg"))) == 2


def test_beside_a_picture_lie_its_own_samples(products: list[int]) -> None:
    project = make_project()
    from_planes.make_subjects(project=project, product_ids=products)
    [subject, *_] = Subject.objects.filter(kind="image").select_related("plane__shard", "plane__product")
    services.render_subjects([subject])()
    media = Media.objects.get(role="plane")
    assert (media.media_type, media.path[-4:], media.position) == ("application/octet-stream", ".bin", 0)
    head, samples = decode_display_plane((Path(settings.MEDIA_ROOT) / media.path).read_bytes())
    assert subject.plane is not None
    stored = np.load(settings.SHARD_ROOT / subject.plane.shard.path)[subject.plane.shard_index]
    assert np.array_equal(samples[0][::-1].view(np.uint16), stored.view(np.uint16))
    assert (head["background"], head["noise"]) == (subject.plane.background, subject.plane.noise)
    assert (media.width_px, media.height_px) == (head["width"], head["height"])


def test_pictures_that_were_published_without_their_samples_get_them_once(products: list[int]) -> None:
    project = make_project()
    from_planes.make_subjects(project=project, product_ids=products)
    services.render_subjects(Subject.objects.all())()
    before = {media.subject_id: Path(settings.MEDIA_ROOT) / media.path for media in Media.objects.filter(role="plane")}
    Media.objects.filter(role="plane").delete()
    out = StringIO()
    call_command("render_planes", project=make_project().slug, stdout=out)
    assert not Media.objects.filter(role="plane").exists(), "another project's are left alone"
    call_command("render_planes", stdout=out)
    after = {media.subject_id: Path(settings.MEDIA_ROOT) / media.path for media in Media.objects.filter(role="plane")}
    assert len(before) == 2
    assert {pk: path.read_bytes() for pk, path in after.items()} == {
        pk: path.read_bytes() for pk, path in before.items()
    }
    call_command("render_planes", project=project.slug, stdout=out)
    assert out.getvalue().splitlines() == [
        "Every picture has its samples.", "2 pictures have their samples now.", "Every picture has its samples.",
    ]  # fmt: skip


def test_a_spectrum_gets_a_picture_and_its_numbers(products: list[int]) -> None:
    project = make_project()
    from_planes.make_subjects(project=project, product_ids=products)
    services.render_subjects(Subject.objects.filter(kind="spectrum").select_related("plane__shard"))()
    picture, data = Media.objects.get(role="location"), Media.objects.get(role="spectrum_data")
    assert (picture.media_type, picture.path[-4:]) == ("image/png", ".png")
    assert (data.media_type, data.path[-5:]) == ("application/json", ".json")
    document = json.loads((Path(settings.MEDIA_ROOT) / data.path).read_text())
    assert len(document["wavelength_nm"]) == len(document["flux"])


def test_rendering_that_is_not_committed_leaves_no_row(products: list[int]) -> None:
    project = make_project()
    from_planes.make_subjects(project=project, product_ids=products)
    services.render_subjects(Subject.objects.all())
    assert not Media.objects.exists()
