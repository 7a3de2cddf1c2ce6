"""One person's way through the public HTTP API: sign in or stay anonymous, take a queue, send answers."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Any

import urllib3

from classifier.errors import EsocsError

PUBLIC_CLIENT_ID = "ce310d45f951de68c4cc8ef46ca38cc0a008f607a2026680295757bfef99f43c"
USER_AGENT = "esocs simulated volunteer"


class ApiError(EsocsError):
    """The site answered something that a volunteer cannot use."""

    code = "api_error"
    status = 502

    def __init__(self, message: str, *, answered: int) -> None:
        super().__init__(message)
        self.answered = answered


class ApiClient:
    """Speaks Panoptes' dialect over one kept-alive connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(
            maxsize=1, timeout=urllib3.Timeout(60), retries=urllib3.Retry(3, backoff_factor=0.2, allowed_methods=None)
        )
        self._cookies: dict[str, str] = {}
        self._token = ""

    def sign_in(self, login: str, password: str) -> None:
        """Sign in as panoptes-client does, and take a bearer token."""
        _, headers = self._send("GET", "/users/sign_in")
        body = {"authenticity_token": headers.get("X-CSRF-Token", ""), "user": {"login": login, "password": password}}
        self._send("POST", "/users/sign_in", body=body, extra={"X-CSRF-Token": headers.get("X-CSRF-Token", "")})
        token, _ = self._send("POST", "/oauth/token", form={"grant_type": "password", "client_id": PUBLIC_CLIENT_ID})
        self._token = token["access_token"]

    def get_workflow(self, workflow_id: int) -> dict[str, Any]:
        document, _ = self._send("GET", f"/api/workflows/{workflow_id}")
        found: dict[str, Any] = document["workflows"][0]
        return found

    def take_queue(self, workflow_id: int, *, size: int, audience: str = "volunteers") -> list[dict[str, Any]]:
        """The next subjects; an empty list when nothing is left for this person."""
        query = f"workflow_id={workflow_id}&page_size={size}"
        if audience != "volunteers":
            query += f"&audience={audience}"
        document, _ = self._send("GET", f"/api/subjects/queued?{query}")
        subjects: list[dict[str, Any]] = document["subjects"]
        return subjects

    def classify(self, workflow: dict[str, Any], subject_id: str, answer: int, *, gold: bool = False) -> None:
        """Send one answer to the workflow's first task."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        classification: dict[str, Any] = {
            "annotations": [{"task": workflow["first_task"], "value": answer}],
            "metadata": {
                "started_at": now,
                "finished_at": now,
                "user_agent": USER_AGENT,
                "user_language": "en",
                "utc_offset": "0",
                "workflow_version": workflow["version"],
            },
            "links": {
                "project": workflow["links"]["project"],
                "workflow": workflow["id"],
                "subjects": [subject_id],
            },
            "completed": True,
        }
        if gold:
            classification["gold_standard"] = True
        key = {"Idempotency-Key": str(uuid.uuid4())}
        self._send("POST", "/api/classifications", body={"classifications": classification}, extra=key)

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        form: dict[str, str] | None = None,
        extra: dict[str, str] | None = None,
    ) -> tuple[dict[str, Any], urllib3.HTTPHeaderDict]:
        headers = {"Accept": "application/vnd.api+json; version=1", "User-Agent": USER_AGENT, **(extra or {})}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content: bytes | None = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if form is not None:
            content = "&".join(f"{name}={value}" for name, value in form.items()).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = self._http.request(method, self._url + path, body=content, headers=headers)
        for line in answer.headers.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self._cookies[name] = morsel.value
        if answer.status >= 400:
            raise ApiError(f"{method} {path}: {answer.status} {answer.data[:300]!r}", answered=answer.status)
        return (json.loads(answer.data) if answer.data else {}), answer.headers
