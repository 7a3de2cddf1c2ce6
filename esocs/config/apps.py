"""Registers the start-up checks and loads the Celery application beside Django."""

from django.apps import AppConfig


class ConfigApp(AppConfig):
    name = "esocs.config"

    def ready(self) -> None:
        from esocs.config import celery, checks

        assert celery.app is not None
        checks.register_checks()
