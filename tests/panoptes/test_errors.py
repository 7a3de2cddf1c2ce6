"""One shape for every error, and one list of all codes."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from django.db import OperationalError
from django.test import Client, override_settings

import classifier
import esocs
from classifier.errors import EsocsError
from esocs.panoptes import errors
from tests.panoptes.bodies import error_of

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def test_an_unknown_address_is_answered_in_form(client: Client) -> None:
    for path in ("/api", "/api/", "/api/nothing", "/api/projects/1/2/3"):
        assert error_of(client.get(path)) == (404, "unknown_route")
        assert error_of(client.post(path)) == (404, "unknown_route")


def test_an_error_has_a_message_a_code_and_a_hint() -> None:
    answer = errors.answer_error(errors.NotSignedInError("Who are you?", hint="Log in."))
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="esocs"'
    expected = b'{"errors": [{"message": "Who are you?", "code": "not_signed_in", "hint": "Log in."}]}'
    assert answer.content == expected


def test_a_lost_database_is_a_503_that_says_when_to_come_again() -> None:
    answer = errors.answer_error(OperationalError("connection refused: secret-host"))
    assert error_of(answer) == (503, "database_unavailable")
    assert answer["Retry-After"] == "5"
    assert b"secret-host" not in answer.content


def test_an_unexpected_error_tells_nothing_to_strangers_and_everything_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = errors.answer_error(ZeroDivisionError("a secret"))
    assert error_of(answer) == (500, "internal_error")
    assert b"secret" not in answer.content
    assert "a secret" in caplog.text


@override_settings(DEBUG=True)
def test_an_unexpected_error_is_raised_to_a_developer() -> None:
    with pytest.raises(ZeroDivisionError):
        errors.answer_error(ZeroDivisionError("a secret"))


def _all_errors() -> set[type[EsocsError]]:
    for package in (classifier, esocs):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not re.search(r"\.(migrations|management|__main__|wsgi)(\.|$)", module.name):
                importlib.import_module(module.name)
    found: set[type[EsocsError]] = {EsocsError}
    waiting = [EsocsError]
    while waiting:
        for subclass in waiting.pop().__subclasses__():
            if subclass.__module__.partition(".")[0] in {"classifier", "esocs"}:
                found.add(subclass)
                waiting.append(subclass)
    return found


def test_the_document_lists_every_code_with_its_status() -> None:
    listed = {
        (code, int(status)) for code, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", DOCUMENT.read_text(), re.M)
    }
    raised = {(error.code, error.status) for error in _all_errors() if "code" in vars(error)}
    assert listed == raised


def test_every_error_has_a_code_of_its_own_words() -> None:
    for error in _all_errors():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", error.code), error
        assert 400 <= error.status < 600, error
