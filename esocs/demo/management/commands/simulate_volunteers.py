"""`manage.py simulate_volunteers`: simulated people vote through the site's HTTP API."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from esocs.config import processes
from esocs.demo.people import make_people
from esocs.demo.volunteers import Crowd, TruthBook, prepare_accounts
from esocs.jobs.command import Progress
from esocs.projects.queries import get_project, select_workflows


class Command(BaseCommand):
    help = "Let simulated volunteers vote through the running site's HTTP API until nothing is left to ask."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, help="slug or id")
        parser.add_argument("--truth", type=Path, required=True, help="truth.csv of the simulated survey")
        parser.add_argument("--url", help="of the site (default: the one that `make demo` started)")
        parser.add_argument("--people", type=int, default=40)
        parser.add_argument("--most", type=int, help="stop after this many answers")
        parser.add_argument("--seed", type=int, default=0)

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["url"] or processes.site_url(settings.VAR)
        if not url:
            raise CommandError("The site does not run. Start it with `make demo`, or name it with --url.")
        workflows = select_workflows(project=get_project(options["project"]))
        people = make_people(options["people"], seed=options["seed"])
        password = secrets.token_urlsafe(16)
        prepare_accounts(people, password=password)
        crowd = Crowd(
            people,
            url=url,
            password=password,
            workflow_ids=[workflow.pk for workflow in workflows],
            truth=TruthBook(options["truth"]),
            seed=options["seed"],
        )
        progress = Progress("volunteers")
        tally = crowd.work(most=options["most"], on_progress=lambda answers: progress(answers, 0))
        progress.close(f"{tally.answers:,} answers by {len(tally.by_person)} people")
