"""`manage.py demo`: the whole loop on a simulated survey, with every part real. `make demo` calls it."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from esocs.config import processes
from esocs.demo import walk
from esocs.demo.summary import summarise


class Command(BaseCommand):
    help = "Run the main job on a simulated survey (and any FITS of yours), against the running site and workers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        plan = walk.Plan()
        parser.add_argument("--data", type=Path, nargs="*", default=[], help="FITS files or folders of your own")
        parser.add_argument("--images", type=int, default=plan.images)
        parser.add_argument("--spectra", type=int, default=plan.spectra)
        parser.add_argument("--people", type=int, default=plan.people)
        parser.add_argument("--seed", type=int, default=plan.seed)
        parser.add_argument("--difficulty", type=float, default=plan.difficulty)

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        url = processes.start(settings.VAR.resolve())
        plan = walk.Plan(**{k: options[k] for k in ("images", "spectra", "people", "seed", "difficulty")})
        finished = _read_finished(plan)
        stage = walk.set_stage(plan, url=url)
        if finished is None:
            self._walk(stage, plan)
            exports = self._step("Exporting", lambda: walk.export(stage))
            text = summarise(stage, exports)
            finished = {"plan": _described(plan), "summary": text, "exports": {k: str(v) for k, v in exports.items()}}
        if options["data"]:
            self._step("Taking in your own files", lambda: walk.ingest(stage, options["data"]))
            self._step("Classifying and routing them", lambda: walk.classify_and_route(stage))
        document = {
            **finished,
            "url": url,
            "owner_login": walk.OWNER_LOGIN,
            "owner_password": stage.password,
            "project_id": str(stage.project.pk),
            "workflow_ids": [str(workflow.pk) for workflow in stage.workflows],
        }
        _demo_file().write_text(json.dumps(document, indent=2))
        self.stdout.write(finished["summary"])
        self.stdout.write(_addresses(document, stage.project.slug))
        self.stdout.write(f"Took {time.monotonic() - started:.0f} s. `make stop` stops the site.")

    def _walk(self, stage: walk.Stage, plan: walk.Plan) -> None:
        steps = [
            ("Simulating an ESO survey as FITS", lambda: walk.make_survey(plan)),
            ("Ingesting: reading, cutting, packing", lambda: walk.ingest(stage, [walk.survey_folder()])),
            ("Experts label a random seed and a blind calibration sample", lambda: walk.label_reserved(stage, plan)),
            ("Training the first models", lambda: self._first_models(stage)),
            ("Classifying, certifying, routing, publishing", lambda: walk.classify_and_route(stage)),
            ("Volunteers vote through the HTTP API", lambda: walk.vote(stage, plan)),
            ("Retraining with their consensus, comparing, promoting", lambda: walk.retrain(stage, seed=1)),
            ("Classifying and routing once more with what was promoted", lambda: walk.classify_and_route(stage)),
        ]
        for number, (title, step) in enumerate(steps, start=1):
            self._step(f"{number} of {len(steps) + 1}: {title}", step)

    def _first_models(self, stage: walk.Stage) -> None:
        if len(walk.champions(stage)) < len(stage.workflows):
            walk.retrain(stage)

    def _step(self, title: str, step: Any) -> Any:
        self.stdout.write(self.style.MIGRATE_HEADING(title))
        self.stdout.flush()
        return step()


def _demo_file() -> Path:
    return Path(settings.VAR) / "demo.json"


def _described(plan: walk.Plan) -> list[float]:
    return [plan.images, plan.spectra, plan.people, plan.seed, plan.difficulty]


def _read_finished(plan: walk.Plan) -> dict[str, Any] | None:
    """The finished demonstration of the same plan, if there is one."""
    try:
        document = json.loads(_demo_file().read_text())
    except (FileNotFoundError, ValueError):
        return None
    if document.get("plan") != _described(plan):
        return None
    return {key: document[key] for key in ("plan", "summary", "exports")}


def _addresses(document: dict[str, Any], slug: str) -> str:
    url = document["url"]
    lines = ["", "Open", f"  {url}/  the site", f"  {url}/projects/{slug}/  the project: label some yourself"]
    lines.append(f"  log in as {document['owner_login']} with {document['owner_password']} to see the results")
    lines.append(f"  {url}/admin/  jobs, rejected products, model versions (the same log-in)")
    return "\n".join(lines)
