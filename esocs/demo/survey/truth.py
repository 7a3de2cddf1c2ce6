"""What is true of each simulated object: truth.csv, kept apart so that no pipeline reads it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from esocs.demo.survey.difficulty import Kind
from esocs.demo.survey.writer import write_atomically


@dataclass(frozen=True, kw_only=True, slots=True)
class TruthRow:
    """One object.

    Attributes:
        dp_id: The archive's name of the product.
        file_name: Its file in the survey's directory.
        kind: ``image`` or ``spectrum``.
        class_name: The true class, in the words of the demonstration's workflow.
        difficulty: Latent difficulty in [0, 1]; above 0.5 a careful reader is unsure.
        signal_to_noise: Matched-filter of an image's target or defect; median a pixel of a spectrum.
        seeing_arcsec: Full width at half maximum of an image's point-spread function; None for a spectrum.
        redshift: Of a spectrum; None for an image.
        second_class: What a careful reader would take it for, were it hard.
        detail: The kind of an artifact or of a bad spectrum's defect, else empty.
    """

    dp_id: str
    file_name: str
    kind: Kind
    class_name: str
    difficulty: float
    signal_to_noise: float
    seeing_arcsec: float | None
    redshift: float | None
    second_class: str
    detail: str


_HEADINGS = {"file_name": "file", "class_name": "class"}


def write_truth(path: Path, rows: Iterable[TruthRow]) -> None:
    """Write truth.csv; numbers keep six decimals, what does not apply is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_HEADINGS.get(field.name, field.name) for field in fields(TruthRow)])
    for row in rows:
        values: list[Any] = list(asdict(row).values())
        writer.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in values])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


def read_truth(path: Path) -> list[TruthRow]:
    """Read truth.csv in the order it was written."""

    def number(text: str) -> float | None:
        return float(text) if text else None

    with path.open(newline="", encoding="utf-8") as lines:
        return [
            TruthRow(
                dp_id=row["dp_id"],
                file_name=row["file"],
                kind="image" if row["kind"] == "image" else "spectrum",
                class_name=row["class"],
                difficulty=float(row["difficulty"]),
                signal_to_noise=float(row["signal_to_noise"]),
                seeing_arcsec=number(row["seeing_arcsec"]),
                redshift=number(row["redshift"]),
                second_class=row["second_class"],
                detail=row["detail"],
            )
            for row in csv.DictReader(lines)
        ]
