"""A project's own texts in the visitor's language: from its translations, and from the project where they have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.utils import translation

from esocs.projects.community import own_language
from esocs.projects.models import FieldGuide, Project, Translation, Tutorial, Workflow

Speaking = Project | Workflow | Tutorial | FieldGuide
KINDS: dict[type, Translation.Kind] = {
    Project: Translation.Kind.PROJECT,
    Workflow: Translation.Kind.WORKFLOW,
    Tutorial: Translation.Kind.TUTORIAL,
    FieldGuide: Translation.Kind.FIELD_GUIDE,
}


class Spoken:
    """A resource's texts in the page's language.

    Attributes:
        language: of the texts; the resource's own where there is no translation.
        strings: those that are translated, under the names that translations use (`tasks.T0.question`).
    """

    def __init__(self, language: str, strings: Mapping[str, str]) -> None:
        self.language = language
        self.strings = strings

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`, as HTML's `dir` has it."""
        return "rtl" if self.language.split("-")[0] in settings.LANGUAGES_BIDI else "ltr"


def list_spoken(resources: Sequence[Speaking]) -> list[Spoken]:
    """The texts of resources of one kind in the page's language, by one statement."""
    wanted = (translation.get_language() or settings.LANGUAGE_CODE).lower()
    codes = [wanted, wanted.split("-")[0]]
    foreign = [resource for resource in resources if own_language(resource) not in codes]
    found: dict[tuple[int, str], Mapping[str, str]] = {}
    if foreign:
        kind = KINDS[type(foreign[0])]
        ids = [resource.pk for resource in foreign]
        for row in Translation.objects.filter(kind=kind, resource_id__in=ids, language__in=codes):
            found[row.resource_id, row.language] = {key: str(text) for key, text in row.strings.items() if text}
    spoken = []
    for resource in resources:
        code = next((code for code in codes if found.get((resource.pk, code))), None)
        strings = found[resource.pk, code] if code and resource in foreign else {}
        spoken.append(Spoken(code if code and strings else own_language(resource), strings))
    return spoken


def speak_projects(projects: Sequence[Project]) -> None:
    """Put the projects' texts in the page's language into the rows, which must not be saved then."""
    for project, spoken in zip(projects, list_spoken(projects), strict=True):
        project.display_name = spoken.strings.get("title", project.display_name)
        project.description = spoken.strings.get("description", project.description)
        project.introduction = spoken.strings.get("introduction", project.introduction)
        project.spoken = spoken  # type: ignore[attr-defined]


def speak_workflows(workflows: Sequence[Workflow]) -> None:
    """The same for workflows: their names and what their tasks ask."""
    for workflow, spoken in zip(workflows, list_spoken(workflows), strict=True):
        workflow.display_name = spoken.strings.get("display_name", workflow.display_name)
        workflow.strings = {key: spoken.strings.get(f"tasks.{key}", text) for key, text in workflow.strings.items()}
        workflow.spoken = spoken  # type: ignore[attr-defined]
