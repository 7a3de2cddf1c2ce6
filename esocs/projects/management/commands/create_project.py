"""`manage.py create_project`: a project of one's own with one question or a file of tasks, for `ingest --project`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from esocs.accounts.models import User
from esocs.projects import services


class Command(BaseCommand):
    help = "Create a project with one workflow. Run it again with other questions for a second workflow."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the project, as people read it")
        parser.add_argument("--owner", required=True, help="login of somebody who has signed up")
        parser.add_argument("--question", help="what people are asked; also the workflow's name")
        asked = parser.add_mutually_exclusive_group(required=True)
        asked.add_argument("--answers", nargs="+", help="what they may answer")
        asked.add_argument("--tasks", type=Path, metavar="FILE", help="JSON of tasks of any kind: docs/tasks.md")
        parser.add_argument("--kind", choices=["image", "spectrum"], default="image")
        parser.add_argument("--alpha", type=float, default=0.01, help="largest error among the accepted (default 0.01)")
        parser.add_argument("--description", default="")
        parser.add_argument("--draft", action="store_true", help="visible to its own people only")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(login__iexact=options["owner"]).first()
        if owner is None:
            raise CommandError(f"Nobody is called {options['owner']!r}. Let the owner sign up first.")
        asked = _read_tasks(options["tasks"]) if options["tasks"] else None
        if asked is None and not options["question"]:
            raise CommandError("--answers need a --question.")
        name = options["question"] or str((asked or {}).get("display_name", ""))
        if not name:
            raise CommandError("The workflow has no name: give it by --question, or as display_name in the file.")
        project = owner.projects.filter(display_name=options["name"]).first() or services.create_project(
            owner=owner,
            display_name=options["name"],
            description=options["description"],
            live=not options["draft"],
        )
        workflow = services.create_workflow(
            project=project,
            display_name=name,
            subject_kind=options["kind"],
            question=name,
            answers=options["answers"] or (),
            asked=asked,
            routing={"alpha": options["alpha"]},
        )
        self.stdout.write(f"Project {project.slug}, workflow {workflow.pk}: {workflow}")


def _read_tasks(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CommandError: there is none.
    """
    try:
        asked = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(asked, dict):
        raise CommandError(f"{path} holds no JSON object.")
    return asked
