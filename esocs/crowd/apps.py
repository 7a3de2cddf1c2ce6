"""Writes the live path's functions into the database after every `migrate`."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CrowdConfig(AppConfig):
    name = "esocs.crowd"

    def ready(self) -> None:
        from esocs.crowd.functions import install_functions

        post_migrate.connect(install_functions, sender=self, dispatch_uid="crowd.functions")
