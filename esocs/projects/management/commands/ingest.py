"""`manage.py ingest PATH… [--project SLUG]`: read FITS files into products, and into a project's subjects."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from esocs.archive import queries, services
from esocs.jobs.command import JobCommand, complete_group
from esocs.projects.queries import get_project


class Command(JobCommand):
    help = "Read FITS files (or folders of them) into products; with --project also into its subjects."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("paths", nargs="+", type=Path, help="FITS files or folders")
        parser.add_argument("--project", help="slug or id of the project that gets the subjects")
        parser.add_argument(
            "--positions",
            type=Path,
            help="CSV with the columns file, ra, dec (degrees): where to cut, instead of the header's target",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        files = services.find_files(options["paths"])
        project = get_project(options["project"]) if options["project"] else None
        batch, _ = services.order_ingest(
            files=files,
            source=" ".join(map(str, options["paths"])),
            project_id=project.pk if project else None,
            positions=_read_positions(options["positions"]) if options["positions"] else None,
        )
        complete_group(f"ingest/{batch.pk}", label=f"reading {len(files):,} files", workers=options["workers"])
        outcome = queries.summarise_batch(batch)
        self.stdout.write(f"Batch {batch.pk}: {outcome.ingested:,} ingested, {outcome.rejected:,} rejected.")
        for code, count in sorted(outcome.rejected_by_error.items()):
            self.stdout.write(f"  {code}: {count:,}")


def _read_positions(path: Path) -> dict[str, list[tuple[float, float]]]:
    positions: dict[str, list[tuple[float, float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            positions.setdefault(Path(row["file"]).name, []).append((float(row["ra"]), float(row["dec"])))
    return positions
