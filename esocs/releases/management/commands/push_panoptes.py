"""`manage.py push_panoptes`: send a subject set with its pictures to Zooniverse, or another Panoptes server."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from classifier.errors import EsocsError
from esocs.projects.queries import get_project
from esocs.releases.management.commands.import_panoptes import Command as ImportCommand
from esocs.releases.management.commands.pull_panoptes import add_server_arguments, server_of
from esocs.releases.queries import get_subject_set
from esocs.releases.remote.client import connect
from esocs.releases.remote.pushing import push_subject_set


class Command(ImportCommand):
    help = "Make a subject set with its pictures on a Panoptes server; run again, it sends what is missing there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG|ID", help="ours")
        parser.add_argument("--subject-set", required=True, type=int, metavar="ID", help="ours")
        parser.add_argument("--target", required=True, metavar="SLUG|ID", help="the project there")
        add_server_arguments(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            project = get_project(options["project"])
            subject_set = get_subject_set(project=project, subject_set_id=options["subject_set"])
            with self.steps() as begin, connect(**server_of(options)) as client:
                sent, number = push_subject_set(client, subject_set, target=options["target"], step=begin)
        except EsocsError as error:
            raise CommandError(f"{error.code}: {error}") from error
        self.stdout.write(f"{sent:,} subjects sent; subject set {number} of {options['target']}")
