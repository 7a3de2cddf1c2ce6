"""Request bodies as clients send them, and the ways to send them."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from esocs.accounts.identity import issue_token
from esocs.accounts.models import User
from esocs.projects.models import Subject, Workflow

METADATA = {
    "started_at": "2026-01-31T12:00:00.000Z",
    "finished_at": "2026-01-31T12:00:02.500Z",
    "user_agent": "test",
    "user_language": "en",
    "utc_offset": "0",
    "workflow_version": "1.1",
}


def classification(workflow: Workflow, subject: Subject | str, value: Any = 0, **changes: Any) -> dict[str, Any]:
    """A classification answering the workflow's first task; `changes` replace its members."""
    subject_id = subject if isinstance(subject, str) else str(subject.pk)
    sent = {
        "annotations": [{"task": workflow.first_task, "value": value}],
        "metadata": dict(METADATA),
        "links": {"project": str(workflow.project_id), "workflow": str(workflow.pk), "subjects": [subject_id]},
    }
    return {"classifications": sent | changes}


def with_metadata(**changes: Any) -> dict[str, Any]:
    return METADATA | changes


def send(client: Client, body: Any, query: str = "", **headers: str) -> Any:
    """POST a classification; the answer."""
    return client.post(
        f"/api/classifications{query}",
        body if isinstance(body, str | bytes) else json.dumps(body),
        content_type="application/json",
        headers=headers,
    )


def bearer(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue_token(user)}"}


def error_of(answer: Any) -> tuple[int, str]:
    """Status and code of an error answer."""
    document = json.loads(answer.content)
    assert set(document) <= {"errors", "error", "error_description"}
    [error] = document["errors"]
    assert error["message"]
    return answer.status_code, error["code"]
