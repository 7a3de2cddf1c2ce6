"""`manage.py aggregate`: fit the volunteers' skill and reach the consensus, on our rows or on a file of votes.

With a file it needs no database, no Redis and no running site.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from esocs.crowd.files.from_file import Aggregation, Options, aggregate_file, aggregate_tables
from esocs.crowd.files.results import FORMATS, describe
from esocs.crowd.files.tables import ReadReport
from esocs.crowd.modes import DEFAULT_MODE, MODES
from esocs.jobs.command import JobCommand, Progress
from esocs.projects.models import Workflow

ROWS_TOLD = 5
"""Rows that could not be read are told one by one up to here."""

WIDEST_TEXT = 40


class Command(JobCommand):
    help = (
        "Fit the volunteers' skill again now; open subjects get the new consensus, and retire where it settles them."
        " With FILE (votes: subject, volunteer, answer in CSV or Parquet; or any Panoptes classification export)"
        " aggregate that instead, without a database: consensus, volunteers and summaries go to the folder --out."
    )
    # A file needs no working site.
    requires_system_checks: list[str] = []
    _step: Progress | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="votes, or a classification export")
        parser.add_argument("--project", help="slug or id; all projects without it")
        parser.add_argument("--workflow", help="id; all of the project without it; of an export, whose rows")
        parser.add_argument("--audit", action="store_true", help="also compare every cached count with its rows")
        parser.add_argument("--mode", choices=sorted(MODES), help=f"how votes are weighed ({DEFAULT_MODE})")
        parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder for the results")
        parser.add_argument("--gold", type=Path, metavar="CSV", help="experts' answers: subject, answer[, question]")
        parser.add_argument("--workflows", type=Path, metavar="CSV", help="workflows export: tasks, labels and tools")
        parser.add_argument("--workflow-version", metavar="N[.M]", help="take only rows of this version of an export")
        parser.add_argument("--partitions", type=int, default=0, metavar="N", help="fit out of memory, in N parts")
        parser.add_argument("--dask", default="", metavar="ADDRESS", help="fit on this Dask cluster, which sees --out")
        parser.add_argument("--format", default=",".join(FORMATS), help="csv, parquet or both: csv,parquet")
        parser.add_argument("--strict", action="store_true", help="a row that cannot be read is an error")

    def handle(self, *args: Any, **options: Any) -> None:
        formats = tuple(name.strip() for name in options["format"].split(","))
        if not formats or set(formats) - set(FORMATS):
            raise CommandError(f"--format takes {' and '.join(FORMATS)}, not {options['format']!r}.")
        if options["partitions"] < 0:
            raise CommandError("--partitions takes a number of parts.")
        if options["file"]:
            self._aggregate_file(options, formats)
        else:
            self._aggregate_rows(options, formats)

    def _aggregate_file(self, options: dict[str, Any], formats: tuple[str, ...]) -> None:
        if options["out"] is None:
            raise CommandError("Say where the results go: --out FOLDER.")
        for name in ("project", "audit", "workers"):
            if options[name]:
                raise CommandError(f"--{name} is for our own rows, not for a file.")
        wanted = Options(
            out=options["out"],
            mode=options["mode"] or DEFAULT_MODE,
            formats=formats,
            partitions=options["partitions"],
            dask=options["dask"],
            strict=options["strict"],
            gold=options["gold"],
            workflow_id=options["workflow"],
            workflow_version=options["workflow_version"],
            workflows=options["workflows"],
        )
        self._tell(aggregate_file(options["file"], wanted, steps=self._steps))

    def _aggregate_rows(self, options: dict[str, Any], formats: tuple[str, ...]) -> None:
        from esocs.projects.queries import get_project, select_workflows

        for name in ("gold", "workflows", "workflow_version", "strict"):
            if options[name]:
                raise CommandError(f"--{name.replace('_', '-')} is for files.")
        if options["workflow"] and not options["workflow"].isdecimal():
            raise CommandError(f"--workflow takes the id of a workflow, not {options['workflow']!r}.")
        if options["out"] is None and (options["mode"] or options["partitions"] or options["dask"]):
            raise CommandError("--mode, --partitions and --dask are for results in files: add --out FOLDER.")
        project = get_project(options["project"]) if options["project"] else None
        workflow_id = int(options["workflow"]) if options["workflow"] else None
        for workflow in select_workflows(project=project, workflow_id=workflow_id):
            self._refit(workflow, options)
            if options["out"] is not None:
                self._write_rows(workflow, options, formats)

    def _refit(self, workflow: Workflow, options: dict[str, Any]) -> None:
        from esocs.crowd import queries, refit
        from esocs.jobs.services import enqueue

        epoch = queries.current_epoch_number(workflow)
        key = f"workflow/{workflow.pk}/epoch/{epoch}/{refit.count_new_rows(workflow)}"
        job = enqueue("crowd.refit", key=key, payload={"workflow_id": workflow.pk})
        self.run_jobs([job], label=f"fitting skill, {workflow}", options=options)
        summary = queries.summarise_workflow(workflow)
        epoch = queries.current_epoch_number(workflow)
        self.stdout.write(
            f"{workflow}: epoch {epoch}, {summary.classifications:,} classifications,"
            f" {summary.retired:,} retired, {summary.contested:,} contested, {summary.open:,} open"
        )
        if options["audit"]:
            differences = refit.audit_consensus(workflow)
            for line in differences:
                self.stderr.write(line)
            self.stdout.write(f"  audit: {len(differences):,} differences")

    def _write_rows(self, workflow: Workflow, options: dict[str, Any], formats: tuple[str, ...]) -> None:
        """The same files as from an export, in a folder a workflow."""
        from esocs.crowd.aggregation import responses_of_workflow, rows_of_workflow

        mode = options["mode"] or workflow.consensus_mode
        wanted = Options(
            out=options["out"] / f"workflow-{workflow.pk}",
            mode=mode,
            formats=formats,
            partitions=options["partitions"],
            dask=options["dask"],
        )
        metadata = describe(mode=mode, source=f"workflow {workflow.pk}", sha256="")
        self._tell(
            aggregate_tables(
                rows_of_workflow(workflow),
                wanted,
                metadata=metadata,
                report=ReadReport(),
                steps=self._steps,
                responses=responses_of_workflow(workflow),
            )
        )

    def _steps(self, label: str) -> Callable[[int, int], None]:
        """Progress goes to standard error: results alone go to standard output."""
        self._close_step()
        self._step = Progress(label, stream=sys.stderr)
        return self._step

    def _close_step(self) -> None:
        if self._step:
            self._step.close()
        self._step = None

    def _tell(self, done: Aggregation) -> None:
        """The closing table."""
        self._close_step()
        for outcome in done.questions:
            text = outcome.text if len(outcome.text) <= WIDEST_TEXT else f"{outcome.text[: WIDEST_TEXT - 1]}…"
            self.stdout.write(
                f"{outcome.key:<8}{text:<{WIDEST_TEXT + 1}}{outcome.subjects:>11,} subjects {outcome.votes:>12,} votes"
                f" {outcome.volunteers:>9,} volunteers ({outcome.unheard:,} not heard) {outcome.flagged:>7,} flagged"
                f" {outcome.gold:>6,} gold  temper {outcome.temper:.2f}"
            )
            if outcome.remark:
                self.stdout.write(f"        {outcome.remark}")
        if not done.questions:
            self.stdout.write("no votes")
        if done.summaries:
            self.stdout.write(f"{done.summaries:,} summaries")
        report = done.report
        if report.rows:
            self.stdout.write(
                f"{report.rows:,} rows: {report.repeats:,} repeats, {report.gold_rows:,} gold standard,"
                f" {report.other_workflows:,} of other workflows or versions, {report.n_skipped:,} unreadable"
            )
        for skipped in report.skipped[:ROWS_TOLD]:
            self.stderr.write(f"row {skipped.row}: {skipped.reason}")
        if report.n_skipped > ROWS_TOLD:
            self.stderr.write(f"… and {report.n_skipped - ROWS_TOLD:,} more rows")
        for note in report.notes:
            self.stderr.write(note)
        for path in done.paths:
            self.stdout.write(str(path))
