"""What surrounds the answering on the classify page: tutorial, field guide, examples, favourites and talk.

Texts are the language's own where there is a translation, else as they were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from esocs.accounts.identity import Identity
from esocs.projects.models import Media, Workflow
from esocs.web.languages import list_spoken

MOST_EXAMPLES = 8


def read_companion(workflow: Workflow, identity: Identity, *, language: str) -> dict[str, Any]:
    """The page's `companion` (frontend/src/classify/companion/types.ts: CompanionData)."""
    slug = workflow.project.slug
    return {
        "tutorial": _tutorial(workflow, language),
        "guide": _guide(workflow, language),
        "examples": _examples(workflow),
        "feedback": bool(_configuration(workflow).get("feedback")),
        "signedIn": not identity.anonymous,
        "urls": {
            "subject": reverse("web:subject", args=[slug, 0]),
            "collect": reverse("web:collect", args=[slug, 0]),
            "feedback": reverse("web:feedback", args=[slug, workflow.pk, 0]),
        },
    }


def _configuration(workflow: Workflow) -> Mapping[str, Any]:
    return workflow.configuration if isinstance(workflow.configuration, dict) else {}


def _in_language(rows: QuerySet[Any], workflow: Workflow, language: str) -> Any:
    """The row written in the language, else in the workflow's own, else the oldest."""
    found = list(rows.order_by("id"))
    for wanted in (language, workflow.primary_language):
        for row in found:
            if row.language.lower() == wanted.lower():
                return row
    return found[0] if found else None


def _tutorial(workflow: Workflow, language: str) -> dict[str, Any] | None:
    row = _in_language(workflow.tutorials.exclude(kind="mini-course"), workflow, language)
    if row is None:
        return None
    words = list_spoken([row])[0].strings
    steps = [step for step in row.steps if isinstance(step, dict)] if isinstance(row.steps, list) else []
    return {
        "id": str(row.pk),
        "title": words.get("display_name") or row.display_name,
        "steps": [
            {
                "content": _text(words.get(f"steps.{place}.content") or step.get("content")),
                "media": _address(step.get("media")),
            }
            for place, step in enumerate(steps)
        ],
    }


def _guide(workflow: Workflow, language: str) -> list[dict[str, Any]]:
    row = _in_language(workflow.project.field_guides.all(), workflow, language)
    if row is None or not isinstance(row.items, list):
        return []
    words = list_spoken([row])[0].strings
    return [
        {
            "title": _text(words.get(f"items.{place}.title") or item.get("title")),
            "content": _text(words.get(f"items.{place}.content") or item.get("content")),
            "icon": _address(item.get("icon")),
        }
        for place, item in enumerate(row.items)
        if isinstance(item, dict)
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _address(value: Any) -> str | None:
    """A picture's address; Zooniverse's own tutorials name attached media by numbers, which lead nowhere here."""
    return value if isinstance(value, str) and value.startswith(("/", "https://")) else None


def _examples(workflow: Workflow) -> dict[str, dict[str, list[dict[str, str]]]]:
    """`configuration.examples`: {task: {answer: [{"subject": 12} or {"src": "/media/…"}, with a "caption"]}}."""
    wanted = _configuration(workflow).get("examples")
    if not isinstance(wanted, dict):
        return {}
    entries = [
        (task, answer, example)
        for task, answers in wanted.items()
        if isinstance(answers, dict)
        for answer, examples in answers.items()
        if isinstance(examples, list)
        for example in examples[:MOST_EXAMPLES]
        if isinstance(example, dict)
    ]
    pictures = _pictures(workflow, [example.get("subject") for _, _, example in entries])
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    for task, answer, example in entries:
        source = pictures.get(str(example.get("subject"))) or _address(example.get("src"))
        if source:
            caption = _text(example.get("caption"))
            found.setdefault(task, {}).setdefault(answer, []).append({"src": source, "caption": caption})
    return found


def _pictures(workflow: Workflow, subject_ids: list[Any]) -> dict[str, str]:
    ids = [int(each) for each in subject_ids if str(each).isdecimal() and len(str(each)) <= 18]
    media = Media.objects.filter(
        subject_id__in=ids, subject__project=workflow.project_id, role=Media.Role.LOCATION, pending=False
    )
    rows = media.filter(media_type__startswith="image/").order_by("-position")
    return {str(row.subject_id): row.url for row in rows}
