"""`manage.py pull_panoptes`: bring a project from Zooniverse, or another Panoptes server, by its exports."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from classifier.errors import EsocsError
from esocs.releases.management.commands.import_panoptes import Command as ImportCommand
from esocs.releases.remote.client import ZOONIVERSE, connect
from esocs.releases.remote.pictures import fetch_pictures, origins_of
from esocs.releases.remote.pulling import pull_project


class Command(ImportCommand):
    help = "Fetch a project's exports from a Panoptes server and import them; run again, it adds what is new there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        self.add_project_arguments(parser)
        add_server_arguments(parser)
        parser.add_argument("--source", required=True, metavar="SLUG|ID", help="the project there")
        parser.add_argument("--generate", action="store_true", help="order fresh exports there and wait for them")
        parser.add_argument(
            "--media", action="store_true", help="bring the pictures here, too; run again, it goes on where it was"
        )
        parser.add_argument("--folder", type=Path, metavar="DIR", help="keep the files here")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            project = self.find_or_create_project(options)
            with self.steps() as begin, connect(**server_of(options)) as client:
                done = pull_project(
                    client,
                    options["source"],
                    project=project,
                    folder=options["folder"] or Path(settings.EXPORT_ROOT) / "pulled" / str(project.pk),
                    generate=options["generate"],
                    kind=options["kind"],
                    step=begin,
                )
                pictures = None
                if options["media"]:
                    allowed = list(origins_of(options["endpoint"].rstrip("/")))
                    pictures = fetch_pictures(project, step=begin, allowed=allowed)
        except EsocsError as error:
            raise CommandError(f"{error.code}: {error}") from error
        self.tell(project, done)
        if pictures is not None:
            for line in pictures.why:
                self.stderr.write(line)
            self.stdout.write(f"{pictures.fetched} pictures fetched, {pictures.refused} left where they are")


def add_server_arguments(parser: ArgumentParser) -> None:
    """Where, and as whom."""
    parser.add_argument("--endpoint", default=ZOONIVERSE, metavar="URL", help=ZOONIVERSE)
    parser.add_argument("--login", required=True, help="there; the password is read from PANOPTES_PASSWORD")


def server_of(options: dict[str, Any]) -> dict[str, str]:
    """The same for `connect`. A password on the command line would be seen by everybody on the machine."""
    password = os.environ.get("PANOPTES_PASSWORD", "")
    if not password:
        raise CommandError("Set PANOPTES_PASSWORD to your password there.")
    return {"endpoint": options["endpoint"].rstrip("/"), "login": options["login"], "password": password}
