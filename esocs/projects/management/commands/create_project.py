"""`manage.py create_project`: a project of one's own with one question, ready for `ingest --project`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from esocs.accounts.models import User
from esocs.projects import services


class Command(BaseCommand):
    help = "Create a project with one single-choice workflow. Run it again with another question for a second workflow."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the project, as people read it")
        parser.add_argument("--owner", required=True, help="login of somebody who has signed up")
        parser.add_argument("--question", required=True, help="what people are asked")
        parser.add_argument("--answers", required=True, nargs="+", help="what they may answer")
        parser.add_argument("--kind", choices=["image", "spectrum"], default="image")
        parser.add_argument("--alpha", type=float, default=0.01, help="largest error among the accepted (default 0.01)")
        parser.add_argument("--description", default="")
        parser.add_argument("--draft", action="store_true", help="visible to its own people only")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(login__iexact=options["owner"]).first()
        if owner is None:
            raise CommandError(f"Nobody is called {options['owner']!r}. Let the owner sign up first.")
        project = owner.projects.filter(display_name=options["name"]).first() or services.create_project(
            owner=owner,
            display_name=options["name"],
            description=options["description"],
            live=not options["draft"],
        )
        workflow = services.create_workflow(
            project=project,
            display_name=options["question"],
            subject_kind=options["kind"],
            question=options["question"],
            answers=options["answers"],
            routing={"alpha": options["alpha"]},
        )
        self.stdout.write(f"Project {project.slug}, workflow {workflow.pk}: {workflow}")
