"""What a load balancer is told, and how rendered files are served where no nginx stands in front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import resolve


@pytest.mark.django_db
def test_all_is_well(client: Client) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"postgresql": True, "redis": True})


@pytest.mark.django_db
def test_a_missing_postgresql_is_an_outage(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["postgresql"]) == (503, False)


@pytest.mark.django_db
def test_a_rendered_file_may_be_kept_for_a_year(client: Client, settings: Any) -> None:
    assert resolve("/media/ab/x.jpg")
    folder = Path(settings.MEDIA_ROOT) / "ab"
    folder.mkdir(parents=True)
    (folder / "x.jpg").write_bytes(b"\xff\xd8\xff")
    answer = client.get("/media/ab/x.jpg")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
    assert "immutable" in answer["Cache-Control"]
    assert b"".join(answer.streaming_content) == b"\xff\xd8\xff"
    answer.close()


@pytest.mark.parametrize("path", ["/media/../settings.py", "/media/ab", "/media/", "/media/%2e%2e/x"])
def test_nothing_else_is_served(client: Client, settings: Any, path: str) -> None:
    (Path(settings.MEDIA_ROOT) / "ab").mkdir(parents=True)
    assert client.get(path).status_code in {400, 404}
