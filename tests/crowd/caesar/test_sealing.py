"""Passwords for other servers: what the database keeps of them, and what a change of the site's key does."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from esocs.crowd.caesar.sealing import SealBrokenError, seal, unseal
from esocs.crowd.models import RuleEffect, SubjectRule
from tests.support.factories import make_workflow


def test_what_was_sealed_opens_and_reads_as_nothing_before() -> None:
    sealed = seal("pässword")
    assert "pässword" not in sealed
    assert sealed != seal("pässword")
    assert unseal(sealed) == "pässword"


def test_a_former_key_opens_while_it_is_named(settings: Any) -> None:
    former = settings.SECRET_KEY
    sealed = seal("secret")
    settings.SECRET_KEY = "another"
    with pytest.raises(SealBrokenError, match="ESOCS_SECRET_KEY has changed"):
        unseal(sealed)
    settings.SECRET_KEY_FALLBACKS = ["older still", former]
    assert unseal(sealed) == "secret"
    settings.SECRET_KEY_FALLBACKS = []
    assert unseal(seal("new")) == "new"


@pytest.mark.parametrize("token", ["", "x", "é", "gAAAAA", "=" * 100])
def test_what_was_never_sealed_is_said_to_be_broken(token: str) -> None:
    with pytest.raises(SealBrokenError):
        unseal(token)


@pytest.mark.django_db
def test_passwords_that_were_kept_as_they_are_written_are_sealed_by_the_migration() -> None:
    rule = SubjectRule.objects.create(workflow=make_workflow(), condition=["const", True])
    config = {"url": "https://example.org/x", "reducer_key": "a", "username": "me", "password": "secret"}
    effect = RuleEffect.objects.create(subject_rule=rule, action="external_with_basic_auth", config=config)
    migration = import_module("esocs.crowd.migrations.0011_sealed_passwords")
    migration.seal_passwords(apps, None)
    effect.refresh_from_db()
    assert "secret" not in str(effect.config)
    assert unseal(effect.config["sealed_password"]) == "secret"
    migration.open_passwords(apps, None)
    effect.refresh_from_db()
    assert effect.config == config
