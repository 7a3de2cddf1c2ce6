"""Decisions about products: what identifies one, and whether a plane is fit for the machine. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote_to_bytes

from classifier.fits.content import Cutout, HeaderFacts, Spectrum

# Suffixes under which archives and pipelines keep FITS files.
FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz", ".fit.gz", ".fits.bz2", ".tfits")
# Above this share of missing pixels a picture says too little for a machine's answer to be accepted.
LARGEST_MISSING_SHARE = 0.3
# A spectrum that covers less of the network's wavelengths is not what the network was trained on.
SMALLEST_COVERAGE = 0.25
# Files a job, and so planes a shard. A large order makes larger ones.
FILES_PER_JOB, LARGEST_FILES_PER_JOB, JOBS_PER_ORDER = 400, 1000, 40
BYTES_PER_JOB = 1 << 30
MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)


def uri_of(path: Path) -> str:
    """An absolute path as text that a database can hold: itself, or a file: address where it is not UTF-8."""
    text = str(path)
    return text if printable(text) == text else path.as_uri()


def path_of(uri: str) -> Path:
    """The inverse of `uri_of`."""
    return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://")))) if uri.startswith("file:") else Path(uri)


def split_order(sizes_bytes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The files of an order by jobs: first and behind last of each.

    What a job costs beside its files is the same for any number of them, and so is what a shard costs to open and
    predict; but a job that is cut off is done again, so large files make small jobs.

    Args:
        sizes_bytes: Of the files, in the order in which they are read.
    """
    most = min(max(FILES_PER_JOB, len(sizes_bytes) // JOBS_PER_ORDER), LARGEST_FILES_PER_JOB)
    first, job_bytes = 0, 0
    for number, size_bytes in enumerate(sizes_bytes):
        if number > first and (number - first == most or job_bytes + size_bytes > BYTES_PER_JOB):
            yield first, number
            first, job_bytes = number, 0
        job_bytes += size_bytes
    if first < len(sizes_bytes):
        yield first, len(sizes_bytes)


def printable(text: str) -> str:
    """The text with a question mark for each byte of a file name that is no UTF-8."""
    return text.encode(errors="replace").decode()


def identify(facts: HeaderFacts, path: Path) -> str:
    """The archive's identifier; a file that carries none is known by its name."""
    if facts.dp_id:
        return facts.dp_id
    name = printable(path.name)
    for suffix in sorted(FITS_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or name
    return name


def is_header_text(text: str) -> bool:
    """Whether a text is a JSON object that the database can hold."""
    try:
        return isinstance(json.loads(text), dict) and "\\u0000" not in text
    except ValueError:
        return False


def observation_time(facts: HeaderFacts) -> datetime | None:
    """When the exposure began, UTC; None when the header does not say, or says nonsense."""
    if facts.date_obs:
        try:
            when = datetime.fromisoformat(facts.date_obs)
        except ValueError:
            pass
        else:
            return when if when.tzinfo else when.replace(tzinfo=UTC)
    if facts.mjd_obs is not None and 0 < facts.mjd_obs < 200_000:
        return MJD_EPOCH + timedelta(days=facts.mjd_obs)
    return None


def is_usable_cutout(cutout: Cutout) -> bool:
    return cutout.missing_share <= LARGEST_MISSING_SHARE


def is_usable_spectrum(spectrum: Spectrum) -> bool:
    return spectrum.coverage >= SMALLEST_COVERAGE
