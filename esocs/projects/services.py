"""Writes of the projects room: projects, workflows and their versions, subjects out of products, rendered media."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, prefetch_related_objects
from django.db.models.functions import Lower
from django.utils.text import slugify
from numpy.typing import NDArray

from classifier import display_plane
from classifier.errors import EsocsError
from classifier.rendering import DISPLAY_SIZE_PX, render_bands, render_planes, sky_limits, spectrum_json
from classifier.shards import open_shard
from classifier.spectrum_picture import render_spectrum
from esocs.accounts.models import User
from esocs.archive.models import Plane, Shard
from esocs.archive.queries import read_bands, read_display_spectrum
from esocs.projects import rules
from esocs.projects.media import new_path, write_file
from esocs.projects.models import (
    Media,
    Project,
    ProjectRole,
    SetMemberSubject,
    Subject,
    SubjectSet,
    Workflow,
    WorkflowVersion,
)
from esocs.projects.task_checks import check_asked
from esocs.projects.texts import extract_strings

SPECTRUM_WIDTH_PX, SPECTRUM_HEIGHT_PX = 848, 424
RENDER_BATCH = 256
# What makes a new major version: the questions are no longer the same.
ASKED = ("tasks", "grouped", "pairwise", "prioritized", "first_task")


class ProjectExistsError(EsocsError):
    """The owner already has a project of this name."""

    code = "project_exists"
    status = 409


@transaction.atomic
def create_project(
    *, owner: User, display_name: str, description: str = "", introduction: str = "", live: bool = False
) -> Project:
    """Create a project with its owner's role.

    Raises:
        ProjectExistsError: the owner has one of this name.
    """
    if Project.objects.filter(owner=owner, display_name__iexact=display_name).exists():
        raise ProjectExistsError(f"{owner.login} already has a project called {display_name!r}.")
    project = Project.objects.create(
        owner=owner,
        display_name=display_name,
        slug=_free_slug(owner, display_name),
        description=description,
        introduction=introduction,
        live=live,
    )
    add_role(project=project, user=owner, role=ProjectRole.Role.OWNER)
    return project


def _free_slug(owner: User, display_name: str) -> str:
    """An address that nobody has. Names may shorten alike, or to nothing where no letter is Latin."""
    base = f"{slugify(owner.login) or f'user-{owner.pk}'}/{slugify(display_name) or 'project'}"[:190]
    taken = set(Project.objects.filter(slug__istartswith=base).values_list(Lower("slug"), flat=True))
    candidates = itertools.chain([base], (f"{base}-{number}" for number in itertools.count(2)))
    return next(slug for slug in candidates if slug not in taken)


def add_role(*, project: Project, user: User, role: str) -> ProjectRole:
    """Give a person a role; giving it twice changes nothing."""
    given, _ = ProjectRole.objects.get_or_create(project=project, user=user, role=role)
    return given


@transaction.atomic
def create_workflow(
    *,
    project: Project,
    display_name: str,
    subject_kind: str,
    question: str = "",
    answers: Sequence[str] = (),
    asked: Mapping[str, Any] | None = None,
    retirement: dict[str, Any] | None = None,
    routing: dict[str, Any] | None = None,
    active: bool = True,
) -> Workflow:
    """Create a workflow, its version 1.1, and its subject set.

    Args:
        project: whose.
        display_name: unused in the project.
        subject_kind: "image" or "spectrum".
        question: of the one single-choice task, if that is all it asks.
        answers: of that question.
        asked: in place of the two, Panoptes' `tasks` with their texts, and with them `first_task` and `steps` if any.
        retirement: Panoptes' `{criteria, options}`; the consensus by default.
        routing: see the model.
        active: whether it takes classifications.

    Raises:
        InvalidWorkflowError: fewer than two different answers, or tasks that make no sense.
    """
    if asked is None:
        tasks, strings = rules.build_question(question=question, answers=list(answers))
    else:
        tasks, strings = extract_strings(check_asked(asked))
    more = {"steps": asked.get("steps", [])} if asked else {}
    workflow = Workflow.objects.create(
        project=project,
        display_name=display_name,
        subject_kind=subject_kind,
        tasks=tasks,
        strings=strings,
        first_task=rules.check_first_task(tasks, (asked or {}).get("first_task", "T0")),
        **more,
        retirement=retirement or {"criteria": "consensus", "options": {"threshold": 0.95, "minimum": 3, "maximum": 15}},
        routing=routing or {},
        active=active,
    )
    write_version(workflow)
    subject_set, _ = SubjectSet.objects.get_or_create(project=project, display_name=f"{display_name}: archive")
    workflow.subject_sets.add(subject_set)
    return workflow


@transaction.atomic
def change_workflow(
    workflow: Workflow,
    *,
    tasks: dict[str, Any] | None = None,
    strings: dict[str, str] | None = None,
    **columns: Any,
) -> Workflow:
    """Change a workflow: what it asks anew is a new major version, new texts are a new minor one (Panoptes' rule).

    Args:
        workflow: which.
        tasks: with keys in the place of texts; None: as they are.
        strings: the texts of those keys; None: as they are.
        **columns: other columns by name.
    """
    locked = Workflow.objects.select_for_update().get(pk=workflow.pk)
    if tasks is not None:
        columns["tasks"] = tasks
    if any(columns.get(name, getattr(locked, name)) != getattr(locked, name) for name in ASKED):
        locked.major_version += 1
    if strings is not None and strings != locked.strings:
        locked.strings = strings
        locked.minor_version += 1
    for name, value in columns.items():
        setattr(locked, name, value)
    locked.save()
    write_version(locked)
    return locked


def write_version(workflow: Workflow) -> None:
    """Keep what a workflow asks now for the labels of its classifications; a version that exists stays as it is."""
    WorkflowVersion.objects.get_or_create(
        workflow=workflow,
        major=workflow.major_version,
        minor=workflow.minor_version,
        defaults={
            "first_task": workflow.first_task,
            "tasks": workflow.tasks,
            "strings": workflow.strings,
            "retirement": workflow.retirement,
            "prioritized": workflow.prioritized,
            "grouped": workflow.grouped,
            "pairwise": workflow.pairwise,
        },
    )


def subjects_of(workflow: Workflow) -> QuerySet[Subject]:
    """The subjects in a workflow's subject sets."""
    members = SetMemberSubject.objects.filter(subject_set__workflows=workflow)
    return Subject.objects.filter(id__in=members.values("subject_id"))


def render_subjects(subjects: Iterable[Subject]) -> Callable[[], None]:
    """Render what people see of subjects that have no picture yet; the returned effect writes the rows.

    Pictures are made once, when a subject is routed to people, never while it is scored (DESIGN §6).
    """
    wanted = {subject.pk: subject for subject in subjects if subject.plane_id is not None}
    prefetch_related_objects(list(wanted.values()), "plane__shard", "plane__product")
    have = set(Media.objects.filter(subject_id__in=wanted).values_list("subject_id", flat=True))
    media: list[Media] = []
    for shard, members in _by_shard(subject for pk, subject in wanted.items() if pk not in have).items():
        if shard.kind == "image":
            media += _render_images(shard, members)
        else:
            media += _render_spectra(shard, members)

    def write() -> None:
        Media.objects.bulk_create(media, ignore_conflicts=True, batch_size=1000)

    return write


def ensure_pictures(subjects: Iterable[Subject]) -> None:
    """Render at once what a scientist is about to look at: nobody was asked about an accepted subject."""
    render_subjects(subjects)()


def _render_images(shard: Shard, subjects: list[Subject]) -> list[Media]:
    planes = open_shard(settings.SHARD_ROOT / shard.path)
    media = []
    for start in range(0, len(subjects), RENDER_BATCH):
        batch = subjects[start : start + RENDER_BATCH]
        indices = [_plane(subject).shard_index for subject in batch]
        bands = read_bands(shard, indices)
        for subject, jpeg in zip(batch, _jpegs(planes, indices, bands), strict=True):
            media.append(_store(subject, jpeg, "image/jpeg", ".jpg", size_px=(DISPLAY_SIZE_PX, DISPLAY_SIZE_PX)))
            media.append(_plane_media(subject, planes, bands))
    return media


def _plane_media(subject: Subject, planes: NDArray[np.float16], bands: dict[int, NDArray[np.float16]]) -> Media:
    index = _plane(subject).shard_index
    samples = bands.get(index, planes[index])
    return _store(
        subject,
        _display_plane(_plane(subject), samples),
        display_plane.MEDIA_TYPE,
        display_plane.EXTENSION,
        role=Media.Role.PLANE,
        size_px=(samples.shape[-1], samples.shape[-2]),
    )


def render_missing_planes(*, project: Project | None = None) -> Iterator[int]:
    """Write the 16-bit samples of pictures that were published before there were any; subjects of all projects by
    default.

    Yields:
        How many were written, batch by batch. Each batch is in the database by then: a second run does not write it.
    """
    pictured = Media.objects.filter(role=Media.Role.LOCATION).values("subject_id")
    sampled = Media.objects.filter(role=Media.Role.PLANE).values("subject_id")
    wanted = Subject.objects.filter(plane__shard__kind="image", id__in=pictured).exclude(id__in=sampled)
    if project is not None:
        wanted = wanted.filter(project=project)
    # One shard after another, so that each is opened once.
    ids = list(wanted.order_by("plane__shard_id", "plane__shard_index").values_list("id", flat=True))
    for start in range(0, len(ids), RENDER_BATCH):
        subjects = Subject.objects.filter(id__in=ids[start : start + RENDER_BATCH])
        media: list[Media] = []
        for subject_shard, members in _by_shard(subjects.select_related("plane__shard", "plane__product")).items():
            planes = open_shard(settings.SHARD_ROOT / subject_shard.path)
            bands = read_bands(subject_shard, [_plane(subject).shard_index for subject in members])
            media += [_plane_media(subject, planes, bands) for subject in members]
        Media.objects.bulk_create(media, ignore_conflicts=True)
        yield len(media)


def _by_shard(subjects: Iterable[Subject]) -> dict[Shard, list[Subject]]:
    found: dict[Shard, list[Subject]] = {}
    for subject in subjects:
        found.setdefault(_plane(subject).shard, []).append(subject)
    return found


def _jpegs(planes: NDArray[np.float16], indices: list[int], bands: dict[int, NDArray[np.float16]]) -> list[bytes]:
    """Planes in grey, and in colour those of which the file held three bands."""
    pictures: dict[int, bytes] = {}
    if bands:
        pictures |= zip(bands, render_bands(np.stack(list(bands.values()))), strict=True)
    grey = [index for index in indices if index not in bands]
    if grey:
        pictures |= zip(grey, render_planes(np.stack([planes[index] for index in grey])), strict=True)
    return [pictures[index] for index in indices]


def _display_plane(plane: Plane, samples: NDArray[np.float16]) -> bytes:
    """What the browser stretches itself, beside the picture that it shows first."""
    brightness = samples if samples.ndim == 2 else samples.astype(np.float32).mean(axis=0).astype(np.float16)
    [(low, high)] = sky_limits(brightness[np.newaxis]).tolist()
    return display_plane.encode_display_plane(
        samples,
        limits=(low, high),
        background=plane.background,
        noise=plane.noise,
        unit=str(plane.product.header.get("BUNIT", "")),
        sky=plane.sky,
    )


def _render_spectra(shard: Shard, subjects: list[Subject]) -> list[Media]:
    media = []
    for subject in subjects:
        spectrum = read_display_spectrum(shard, _plane(subject).shard_index)
        png = render_spectrum(spectrum, width_px=SPECTRUM_WIDTH_PX, height_px=SPECTRUM_HEIGHT_PX)
        media.append(_store(subject, png, "image/png", ".png", size_px=(SPECTRUM_WIDTH_PX, SPECTRUM_HEIGHT_PX)))
        media.append(
            _store(subject, spectrum_json(spectrum), "application/json", ".json", role=Media.Role.SPECTRUM_DATA)
        )
    return media


def _plane(subject: Subject) -> Plane:
    assert subject.plane is not None
    return subject.plane


def _store(
    subject: Subject,
    content: bytes,
    media_type: str,
    extension: str,
    *,
    role: str = Media.Role.LOCATION,
    size_px: tuple[int, int] | None = None,
) -> Media:
    """Write one file under an unguessable name, whole or not at all."""
    name = uuid.uuid4()
    relative = new_path(name, extension)
    write_file(relative, content)
    width, height = size_px or (None, None)
    return Media(
        subject=subject,
        role=role,
        media_type=media_type,
        name=name,
        path=relative,
        size_bytes=len(content),
        width_px=width,
        height_px=height,
    )
