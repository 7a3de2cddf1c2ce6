"""PUT /api/uploads/:token: who may send what, and what the file then is."""

from __future__ import annotations

import io
import json
import zlib
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from esocs.crowd.models import SubjectStatus
from esocs.panoptes.views import uploads
from esocs.projects.models import Media, Project, Subject
from tests.panoptes.bodies import bearer, error_of
from tests.support.factories import make_project, make_workflow

pytestmark = pytest.mark.django_db


def picture(kind: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "navy").save(file, kind)
    return file.getvalue()


@pytest.fixture
def project(db: None) -> Project:
    return make_project()


def announce(client: Client, project: Project, *types: str, **links: Any) -> list[str]:
    """The addresses to which a new subject's files are to be PUT."""
    body = {"subjects": {"locations": list(types), "links": {"project": str(project.pk), **links}}}
    headers = bearer(project.owner)
    answer = client.post("/api/subjects", json.dumps(body), content_type="application/json", headers=headers)
    assert answer.status_code == 201, answer.content
    [subject] = answer.json()["subjects"]
    assert [list(location) for location in subject["locations"]] == [[each] for each in types]
    return [address for location in subject["locations"] for address in location.values()]


def put(client: Client, address: str, content: bytes, content_type: str = "image/png") -> Any:
    path = address.removeprefix("http://testserver")
    return client.put(path, content, content_type=content_type, headers={"x-ms-blob-type": "BlockBlob"})


def test_a_file_gets_its_address_from_its_announced_type(client: Client, project: Project) -> None:
    first, second = announce(client, project, "image/jpeg", "application/json")
    assert put(client, second, b'{"x": [1, 2]}').status_code == 201
    assert put(client, first, picture("JPEG"), "whatever/it-says").status_code == 201
    [subject] = client.get(f"/api/subjects/{Subject.objects.get().pk}").json()["subjects"]
    addresses = [address for location in subject["locations"] for address in location.values()]
    assert [address.rpartition(".")[2] for address in addresses] == ["jpg", "json"]
    for address in addresses:
        served = client.get(address.removeprefix("http://testserver"))
        assert served.status_code == 200
        assert "sandbox" in served["Content-Security-Policy"]


def test_a_subject_is_shown_once_all_its_files_are_there(client: Client, project: Project) -> None:
    workflow = make_workflow(project)
    subject_set = workflow.subject_sets.get()
    first, second = announce(client, project, "image/png", "image/png", subject_sets=[str(subject_set.pk)])
    assert put(client, first, picture()).status_code == 201
    assert not SubjectStatus.objects.exists()
    assert put(client, second, picture()).status_code == 201
    assert SubjectStatus.objects.get().state == "open"


def test_a_file_sent_again_changes_nothing(client: Client, project: Project) -> None:
    [address] = announce(client, project, "image/png")
    assert put(client, address, picture()).status_code == 201
    assert put(client, address, picture(size=(9, 9))).status_code == 201
    assert Media.objects.get().width_px == 8


@pytest.mark.parametrize(
    ("announced", "content"),
    [
        ("image/png", picture("JPEG")),
        ("image/png", picture()[:45]),
        ("image/png", b""),
        ("image/jpeg", b"<html></html>"),
        ("image/gif", b"GIF89a"),
        ("application/json", b"{"),
        ("text/plain", b"\xff\xfe\x00"),
        ("image/svg+xml", b"<html/>"),
        ("image/svg+xml", b'<!DOCTYPE svg [<!ENTITY a "b">]><svg/>'),
        ("video/mp4", b"not a film"),
    ],
)
def test_a_file_that_is_not_what_was_announced_is_refused(
    client: Client, project: Project, announced: str, content: bytes
) -> None:
    [address] = announce(client, project, announced)
    assert error_of(put(client, address, content, announced)) == (422, "upload_invalid")
    assert Media.objects.get().pending


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(client: Client, project: Project) -> None:
    bomb = bytearray(picture())
    bomb[16:24] = (100_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    [address] = announce(client, project, "image/png")
    assert error_of(put(client, address, bytes(bomb))) == (413, "upload_too_large")


def test_a_file_of_too_many_bytes_is_refused(client: Client, project: Project, settings: Any) -> None:
    settings.UPLOAD_LIMIT_BYTES = 100
    [address] = announce(client, project, "text/plain")
    assert error_of(put(client, address, b"x" * 101)) == (413, "upload_too_large")
    assert put(client, address, b"x" * 100).status_code == 201


def test_a_forged_or_stale_link_is_refused(client: Client, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    [address] = announce(client, project, "image/png")
    assert error_of(put(client, address + "x", picture())) == (403, "upload_link_invalid")
    other = address.rpartition("/")[0] + "/" + address.rpartition("/")[2].replace(".", "0.", 1)
    assert error_of(put(client, other, picture())) == (403, "upload_link_invalid")
    monkeypatch.setattr(uploads, "LINK_AGE_S", -1)
    assert error_of(put(client, address, picture())) == (403, "upload_link_invalid")


def test_the_file_of_a_deleted_subject_is_not_taken(client: Client, project: Project) -> None:
    [address] = announce(client, project, "image/png")
    Subject.objects.all().delete()
    assert error_of(put(client, address, picture())) == (404, "upload_unknown")


@pytest.mark.parametrize(
    ("locations", "code"),
    [
        (["application/fits"], "media_type_unsupported"),
        ([{"image/fits": "https://example.org/x.fits"}], "media_type_unsupported"),
        ([{"image/png": "file:///etc/passwd"}], "location_invalid"),
        ([{"image/png": "javascript:alert(1)"}], "location_invalid"),
        ([{"image/png": "https://example.org/a b"}], "location_invalid"),
        ([{"image/png": "https://" + "x" * 3_000}], "location_invalid"),
        ([5], "invalid_request"),
        ([], "invalid_request"),
        (["image/png"] * 101, "location_invalid"),
    ],
)
def test_a_location_that_cannot_be_shown_is_refused(
    client: Client, project: Project, locations: list[Any], code: str
) -> None:
    body = {"subjects": {"locations": locations, "links": {"project": str(project.pk)}}}
    headers = bearer(project.owner)
    answer = client.post("/api/subjects", json.dumps(body), content_type="application/json", headers=headers)
    assert error_of(answer) == (422, code)
    assert not Subject.objects.exists()


def test_a_deleted_subjects_files_are_gone(
    client: Client, project: Project, django_capture_on_commit_callbacks: Any
) -> None:
    [address] = announce(client, project, "image/png")
    put(client, address, picture())
    subject = Subject.objects.get()
    shown = client.get(f"/api/subjects/{subject.pk}", headers=bearer(project.owner))
    path = Media.objects.get().url
    assert client.get(path).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        headers = {**bearer(project.owner), "If-Match": shown["ETag"]}
        assert client.delete(f"/api/subjects/{subject.pk}", headers=headers).status_code == 204
    assert client.get(path).status_code == 404
