"""What surrounds a workflow: tutorials, field guides, translations, collections, and what people chose or were set."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet
from django.db.models.functions import Lower
from django.utils.text import slugify

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.projects.editing import NotInProjectError, Row, lock_unchanged, save_named
from esocs.projects.models import (
    Collection,
    FieldGuide,
    Project,
    ProjectPreference,
    Subject,
    Translation,
    Tutorial,
    Workflow,
)
from esocs.projects.texts import nested_strings, translatable_strings

RESOURCES: dict[str, type[Model]] = {
    Translation.Kind.PROJECT: Project,
    Translation.Kind.WORKFLOW: Workflow,
    Translation.Kind.TUTORIAL: Tutorial,
    Translation.Kind.FIELD_GUIDE: FieldGuide,
}


class TranslationTargetError(EsocsError):
    """What is to be translated does not exist, or its texts in this language are its own."""

    code = "translation_target_invalid"
    status = 422


@transaction.atomic
def change_columns(
    rows: QuerySet[Row], row: Row, *, changes: Mapping[str, Any], seen_at: datetime | None = None
) -> Row:
    """Change a row's columns by name.

    Raises:
        StaleError: it was changed since `seen_at`.
    """
    locked = lock_unchanged(rows, pk=row.pk, seen_at=seen_at)
    for column, value in changes.items():
        setattr(locked, column, value)
    locked.save()
    return locked


# --- tutorials ----------------------------------------------------------------------------------------------------


@transaction.atomic
def create_tutorial(*, project: Project, workflow_ids: Sequence[int] = (), **columns: Any) -> Tutorial:
    """Create a tutorial, shown in these workflows.

    Raises:
        NotInProjectError: a workflow is not one of the project's.
    """
    tutorial = Tutorial.objects.create(project=project, **columns)
    link_tutorial(tutorial, workflow_ids)
    return tutorial


@transaction.atomic
def link_tutorial(tutorial: Tutorial, workflow_ids: Sequence[int]) -> None:
    """Show a tutorial in these workflows too.

    Raises:
        NotInProjectError: a workflow is not one of the project's.
    """
    workflows = list(Workflow.objects.filter(project=tutorial.project_id, pk__in=workflow_ids))
    missing = set(workflow_ids) - {row.pk for row in workflows}
    if missing:
        raise NotInProjectError(f"The project has no workflow {min(missing)}.")
    tutorial.workflows.add(*workflows)


# --- translations -------------------------------------------------------------------------------------------------


def own_strings(resource: Model) -> dict[str, str]:
    """A resource's texts in its own language, under the names that translations use."""
    match resource:
        case Workflow():
            return translatable_strings(resource.display_name, resource.strings)
        case Project():
            names = ("display_name", "description", "introduction", "researcher_quote", "workflow_description")
            return {"title": resource.display_name, **{name: getattr(resource, name) for name in names}}
        case Tutorial():
            return {"display_name": resource.display_name, **nested_strings("steps", resource.steps)}
        case FieldGuide():
            return nested_strings("items", resource.items)
    raise TypeError(f"{type(resource).__name__} has no texts")


def own_language(resource: Model) -> str:
    """The language in which a resource was written."""
    language = getattr(resource, "primary_language", None) or getattr(resource, "language", "en")
    return str(language).lower()


@transaction.atomic
def create_translation(*, kind: str, resource: Model, language: str, strings: Mapping[str, str]) -> Translation:
    """Keep a resource's texts in another language.

    Raises:
        TranslationTargetError: it is the resource's own language, or there is such a translation.
    """
    code = language.lower()
    if code == own_language(resource):
        raise TranslationTargetError(f"The texts in {code} are the {kind}'s own.", hint=f"Change the {kind} itself.")
    if Translation.objects.filter(kind=kind, resource_id=resource.pk, language=code).exists():
        raise TranslationTargetError(f"There is a translation into {code}.", hint="Change it instead.")
    project_id = resource.pk if isinstance(resource, Project) else resource.project_id  # type: ignore[attr-defined]
    return Translation.objects.create(
        project_id=project_id, kind=kind, resource_id=resource.pk, language=code, strings=dict(strings)
    )


# --- collections --------------------------------------------------------------------------------------------------


@transaction.atomic
def create_collection(
    *, owner: User, display_name: str, project_ids: Sequence[int] = (), subject_ids: Sequence[int] = (), **columns: Any
) -> Collection:
    """Create a person's collection.

    Raises:
        NameTakenError: they made one of this name at this very moment.
        NotInProjectError: a subject does not exist.
    """
    base = f"{slugify(owner.login) or f'user-{owner.pk}'}/{slugify(display_name) or 'collection'}"[:280]
    taken = set(Collection.objects.filter(slug__istartswith=base).values_list(Lower("slug"), flat=True))
    candidates = itertools.chain([base], (f"{base}-{number}" for number in itertools.count(2)))
    slug = next(each for each in candidates if each not in taken)
    collection = Collection(owner=owner, display_name=display_name, slug=slug, **columns)
    save_named(collection, display_name)
    collection.projects.set(Project.objects.filter(pk__in=project_ids))
    collect_subjects(collection, subject_ids)
    return collection


@transaction.atomic
def collect_subjects(collection: Collection, subject_ids: Sequence[int]) -> None:
    """Put subjects into a collection.

    Raises:
        NotInProjectError: one does not exist.
    """
    found = list(Subject.objects.filter(pk__in=subject_ids))
    missing = set(subject_ids) - {subject.pk for subject in found}
    if missing:
        raise NotInProjectError(f"There is no subject {min(missing)}.")
    collection.subjects.add(*found)


@transaction.atomic
def drop_subjects(collection: Collection, subject_ids: Sequence[int]) -> None:
    """Take subjects out of a collection."""
    collection.subjects.remove(*Subject.objects.filter(pk__in=subject_ids))


@transaction.atomic
def mark_favourite(*, owner: User, subject: Subject, favourite: bool) -> None:
    """Put a subject among a person's favourites of its project, or take it out; twice is once.

    The favourites are a collection, one a project, as Zooniverse keeps them.
    """
    # Of two hearts pressed at once, the second waits for the collection that the first makes.
    User.objects.select_for_update(of=("self",)).only("id").get(pk=owner.pk)
    project = subject.project
    found = Collection.objects.filter(owner=owner, favorite=True, projects=project).order_by("id").first()
    if found is None:
        if not favourite:
            return
        found = create_collection(
            owner=owner, display_name=f"Favourites of {project.display_name}"[:200], project_ids=[project.pk],
            favorite=True, private=True,
        )  # fmt: skip
    if favourite:
        collect_subjects(found, [subject.pk])
    else:
        drop_subjects(found, [subject.pk])


def choose_picture(collection: Collection, subject_id: int | None) -> None:
    """Let a subject's picture stand for a collection."""
    Collection.objects.filter(pk=collection.pk).update(default_subject=subject_id)


# --- preferences --------------------------------------------------------------------------------------------------


def keep_preferences(*, project: Project, user_id: int, preferences: Mapping[str, Any]) -> ProjectPreference:
    """What a volunteer chose in a project; chosen again, it is the later choice."""
    row, _ = ProjectPreference.objects.update_or_create(
        project=project, user_id=user_id, defaults={"preferences": dict(preferences)}
    )
    return row


def keep_settings(*, project: Project, user: User, settings: Mapping[str, Any]) -> ProjectPreference:
    """What a project's people set for a volunteer, such as the workflow they are promoted to; the rest stays."""
    with transaction.atomic():
        row, _ = ProjectPreference.objects.select_for_update().get_or_create(project=project, user=user)
        row.settings = {**row.settings, **settings}
        row.save(update_fields=["settings", "updated_at"])
    return row
