"""`manage.py simulate_survey DIRECTORY`: write a simulated ESO survey as FITS files."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from esocs.jobs.command import Progress


class Command(BaseCommand):
    help = "Write a simulated ESO survey as FITS files; what is true of them goes into a separate truth.csv."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, help="where the FITS files go")
        parser.add_argument("--truth", type=Path, help="where truth.csv goes (default: beside the directory)")
        parser.add_argument("--images", type=int, default=3000)
        parser.add_argument("--spectra", type=int, default=1000)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--difficulty",
            type=float,
            default=0.1,
            help="share of subjects a careful reader is unsure of (default 0.1)",
        )
        parser.add_argument("--processes", type=int, default=2)

    def handle(self, *args: Any, **options: Any) -> None:
        from esocs.demo.survey import simulate

        directory: Path = options["directory"]
        progress = Progress("simulating")
        summary = simulate(
            directory=directory,
            truth_path=options["truth"] or directory.with_name(f"{directory.name}-truth") / "truth.csv",
            images=options["images"],
            spectra=options["spectra"],
            seed=options["seed"],
            difficulty=options["difficulty"],
            processes=options["processes"],
            progress=progress,
        )
        progress.close(f"{summary.images:,} images and {summary.spectra:,} spectra in {summary.directory}")
        self.stdout.write(f"  {summary.hard:,} of them are hard; the truth lies in {summary.truth_path}")
