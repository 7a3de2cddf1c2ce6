"""At log-in, the session learns which volunteer it is."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


def _remember(sender: type, *, request: Any, user: Any, **_: Any) -> None:  # noqa: ARG001 - Django's signature
    from esocs.accounts.identity import remember_in_session

    remember_in_session(request, user)


class AccountsConfig(AppConfig):
    name = "esocs.accounts"

    def ready(self) -> None:
        user_logged_in.connect(_remember)
