"""Writes of the archive room: files become products, planes and shards, or a rejection with its reason.

The long work (reading) happens before the transaction; what is returned writes everything at once, so that a worker
killed half-way leaves nothing behind and the job's next attempt does it all again.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import DataError, transaction

from classifier.errors import EsocsError
from classifier.fits.content import Cutout, CutSpec, FitsContent, Spectrum
from classifier.fits.errors import FitsError, UnreadableError
from classifier.fits.sandbox import FitsReader
from classifier.fits.wcs import LocalSky
from classifier.kept_memory import keep_freed_memory
from classifier.shards import digest_of, write_shard
from esocs.archive import queries, rules
from esocs.archive.insertion import insert_rows
from esocs.archive.models import IngestBatch, Plane, Product, Shard
from esocs.jobs.services import enqueue, enqueue_many

# A job's planes take up to half of it, and page faults would cost ten times what copying them does.
_KEPT_BYTES = 64 << 20


class NothingToIngestError(EsocsError):
    """The given paths hold no FITS file."""

    code = "nothing_to_ingest"
    status = 422


class PathNotFoundError(EsocsError):
    """A given path does not exist."""

    code = "path_not_found"
    status = 404


def _size_bytes(path: Path) -> int:
    """Of a file that may have gone since it was found."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - half of the time of Path.stat, and there are a million
    except OSError:
        return 0


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The FITS files below the given folders, and the given files whatever their name.

    Raises:
        PathNotFoundError: a path does not exist.
        NothingToIngestError: there is not one file.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise PathNotFoundError(f"{path} does not exist.")
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            files += [p.resolve() for p in inside if p.name.lower().endswith(rules.FITS_SUFFIXES)]
        else:
            files.append(path.resolve())
    unique = list(dict.fromkeys(files))
    if not unique:
        raise NothingToIngestError("There are no FITS files there.", hint=f"Known: {', '.join(rules.FITS_SUFFIXES)}")
    return unique


@transaction.atomic
def order_ingest(
    *,
    files: list[Path],
    source: str,
    user_id: int | None = None,
    project_id: int | None = None,
    positions: Mapping[str, list[tuple[float, float]]] | None = None,
) -> tuple[IngestBatch, list[int]]:
    """Order files to be read by workers, some hundreds a job; with a project, subjects are made of them.

    Args:
        files: absolute paths, on storage that the workers share.
        source: what the person asked for, kept with the batch.
        user_id: who asked.
        project_id: whose subjects are to be made; the projects room is told by a job's name.
        positions: file name → (RA, Dec) in degrees to cut around, where the default is not wanted.

    Returns:
        The batch and the ids of its jobs.
    """
    batch = IngestBatch.objects.create(source=rules.printable(source)[:1000], created_by_id=user_id)
    items = []
    for start, stop in rules.split_order([_size_bytes(path) for path in files]):
        chunk = files[start:stop]
        payload: dict[str, Any] = {
            "batch_id": batch.pk,
            "paths": [rules.uri_of(path) for path in chunk],
            "number": start,
        }
        if project_id is not None:
            payload["project_id"] = project_id
        if positions:
            payload["positions"] = {rules.printable(p.name): positions[p.name] for p in chunk if p.name in positions}
        items.append((f"batch/{batch.pk}/{start}", payload))
    return batch, enqueue_many("archive.ingest", items=items, group=f"ingest/{batch.pk}")


@dataclass(kw_only=True, slots=True)
class _Read:
    """One file's outcome before it is written."""

    path: Path
    uri: str
    content: FitsContent | None = None
    error: FitsError | None = None


@lru_cache(maxsize=1)
def _reader() -> FitsReader:
    """One pool of children a process, reused from job to job and ended with it."""
    keep_freed_memory(kept_bytes=_KEPT_BYTES, mapped_from_bytes=_KEPT_BYTES // 2)
    reader = FitsReader(children=settings.FITS_CHILDREN)
    atexit.register(reader.close)
    return reader


def ingest_files(
    *,
    batch_id: int,
    number: int,
    paths: list[Path],
    project_id: int | None = None,
    positions: Mapping[str, list[tuple[float, float]]] | None = None,
    report_progress: Callable[[int, int], None] | None = None,
) -> Callable[[], None]:
    """Read files in limited child processes and pack their planes; the returned effect writes the rows.

    A file that was read before (same path) is not read again; one whose content or identifier is already known is
    rejected as a duplicate; a damaged one is rejected with its named error. Nothing stops the others. The project gets
    subjects of all products at these paths, those that were read before it asked included.
    """
    uris = {rules.uri_of(path): path for path in paths}
    known = queries.find_known(uris)
    todo = [(uri, path) for uri, path in uris.items() if uri not in known]
    anywhere = CutSpec()

    def spec(path: Path) -> CutSpec:
        chosen = positions.get(rules.printable(path.name)) if positions else None
        return CutSpec(positions=tuple((ra, dec) for ra, dec in chosen)) if chosen else anywhere

    outcomes: list[_Read] = []
    # By far the most orders name no positions; a function called for every file is for those that do.
    answers = _reader().read_many((path for _, path in todo), spec=spec if positions else None)
    for (uri, path), (_, answer) in zip(todo, answers, strict=True):
        content, error = (answer, None) if isinstance(answer, FitsContent) else (None, answer)
        outcomes.append(_Read(path=path, uri=uri, content=content, error=error))
        if report_progress is not None:
            report_progress(len(outcomes), len(todo))

    def write() -> None:
        products = _write_products(batch_id=batch_id, outcomes=outcomes)
        if known:
            ingested = Product.objects.filter(uri__in=known, state=Product.State.INGESTED)
            products |= dict(ingested.values_list("uri", "id"))
        read = [(products.get(outcome.uri), outcome.content) for outcome in outcomes]
        accepted = [(pk, content) for pk, content in read if pk is not None and content is not None]
        _write_images(batch_id, [(pk, cut) for pk, content in accepted for cut in enumerate(content.images)])
        _write_spectra(batch_id, [(pk, content.spectrum) for pk, content in accepted if content.spectrum])
        if project_id is not None and products:
            enqueue(
                "projects.make_subjects",
                key=f"project/{project_id}/batch/{batch_id}/{number}",
                payload={"project_id": project_id, "product_ids": sorted(products.values())},
                group=f"ingest/{batch_id}",
            )

    return write


# Of a product, in the order of the rows below; and what is left of it where it is refused.
_IDENTITY = ("uri", "dp_id", "sha256", "size_bytes")
_PRODUCT = (
    *_IDENTITY,
    *("kind", "object_name", "instrument", "telescope", "product_category", "proposal_id", "filter_name"),
    *("ra_deg", "dec_deg", "exposure_time_s", "observed_at", "wavelength_min_nm", "wavelength_max_nm"),
    *("signal_to_noise", "seeing_arcsec", "header"),
)
_REFUSED = (*_IDENTITY, "error_code", "error_detail")
_Row = tuple[Any, ...]


def _write_products(*, batch_id: int, outcomes: list[_Read]) -> dict[str, int]:
    """One row a file. Uniqueness is the database's: whoever comes second with the same content is the duplicate.

    Returns:
        Address → id of all products of these files that are ingested now.
    """
    good = [_accepted(o.uri, o.path, o.content) for o in outcomes if o.content]
    same = {"batch_id": batch_id, "state": Product.State.INGESTED}
    stored, damaged = _insert_accepted(good, same)
    rest = [row for row in good if row[0] not in stored]
    if rest:
        # Of these another job may have been the first to write the very same file.
        there = Product.objects.filter(uri__in=[row[0] for row in rest], state=Product.State.INGESTED)
        stored |= dict(there.values_list("uri", "id"))
    refused = [_duplicate(row) for row in rest if row[0] not in stored and row[0] not in damaged]
    refused += [_damaged(row) for row in rest if row[0] in damaged]
    refused += [_rejected(o.uri, o.path, o.error) for o in outcomes if o.error]
    same["state"] = Product.State.REJECTED
    insert_rows(Product, _REFUSED, refused, same=same, ignore_conflicts=True)
    return stored


def _insert_accepted(rows: list[_Row], same: dict[str, Any]) -> tuple[dict[str, int], set[str]]:
    """Insert what was read, as far as its place is free.

    The header comes as the text that the reading process sent. One that a hostile file has taken over may send
    anything, and that must cost no other file.

    Returns:
        Address → id of what was inserted, and the addresses of what the database cannot take.
    """

    def insert(rows: list[_Row]) -> dict[str, int]:
        with transaction.atomic():
            inserted = insert_rows(
                Product,
                _PRODUCT,
                rows,
                same=same,
                ignore_conflicts=True,
                now=["ingested_at"],
                returning=["uri", "id"],
            )
        return dict(inserted)

    try:
        return insert(rows), set()
    except DataError:
        damaged = {row[0] for row in rows if not rules.is_header_text(row[-1])}
        if not damaged:
            raise
        return insert([row for row in rows if row[0] not in damaged]), damaged


def _damaged(row: _Row) -> _Row:
    return (*row[: len(_IDENTITY)], UnreadableError.code, "The file's header makes no sense.")


def _accepted(uri: str, path: Path, content: FitsContent) -> _Row:
    """The values of `_PRODUCT`."""
    facts, spectrum = content.facts, content.spectrum
    observed_at = rules.observation_time(facts)
    return (
        uri,
        rules.identify(facts, path)[:200],
        content.sha256,
        content.size_bytes,
        content.kind,
        (facts.object or "")[:200],
        (facts.instrument or "")[:100],
        (facts.telescope or "")[:100],
        (facts.product_category or "")[:60],
        (facts.proposal_id or "")[:60],
        (facts.filter or "")[:60],
        facts.ra_deg,
        facts.dec_deg,
        facts.exposure_time_s,
        observed_at and observed_at.isoformat(),
        spectrum.wavelength_min_nm if spectrum else facts.wavelength_min_nm,
        spectrum.wavelength_max_nm if spectrum else facts.wavelength_max_nm,
        facts.snr if facts.snr is not None or not spectrum else spectrum.snr,
        facts.seeing_arcsec,
        facts.cards.text,
    )


def _duplicate(row: _Row) -> _Row:
    """The row of a file whose content or identifier another product already has."""
    _, dp_id, sha256, _ = identity = row[: len(_IDENTITY)]
    ingested = Product.objects.filter(state=Product.State.INGESTED)
    same = ingested.filter(sha256=sha256).first()
    other = same or ingested.filter(dp_id=dp_id).first()
    what = "content" if same else "identifier"
    detail = f"The same {what} as product {other.pk} ({other.uri})." if other else "Another product has its place."
    return (*identity, "duplicate", detail)


def _rejected(uri: str, path: Path, error: FitsError) -> _Row:
    """The values of `_REFUSED`."""
    size_bytes = path.stat().st_size if path.exists() else None
    detail = rules.printable(str(error))[:2000]
    return uri, rules.printable(path.name)[:200], "", size_bytes, error.code, detail


def _write_images(batch_id: int, cuts: list[tuple[int, tuple[int, Cutout]]]) -> None:
    if not cuts:
        return
    bands = {str(index): cut.bands for index, (_, (_, cut)) in enumerate(cuts) if cut.bands is not None}
    shard = _write_shard(batch_id, Product.Kind.IMAGE, [cut.plane for _, (_, cut) in cuts], display=bands or None)
    rows = [
        (
            *(product_id, number, index, cut.x_px, cut.y_px, cut.ra_deg, cut.dec_deg, _sky_text(cut.sky)),
            *(cut.size_px * cut.scale, cut.scale, cut.background, cut.noise, cut.missing_share, cut.saturated_share),
            rules.is_usable_cutout(cut),
        )
        for index, (product_id, (number, cut)) in enumerate(cuts)
    ]
    insert_rows(
        Plane,
        (
            *("product_id", "number", "shard_index", "x_px", "y_px", "ra_deg", "dec_deg", "sky"),
            *("size_px", "scale", "background", "noise", "missing_share", "saturated_share"),
            "usable",
        ),
        rows,
        same={"shard_id": shard.pk},
    )


@lru_cache(maxsize=64)
def _sky_text(sky: LocalSky | None) -> str | None:
    """As PostgreSQL reads an array. Cut-outs of one frame, or of repeated exposures, have the same."""
    return None if sky is None else f"{{{','.join(map(repr, sky))}}}"


def _write_spectra(batch_id: int, spectra: list[tuple[int, Spectrum]]) -> None:
    if not spectra:
        return
    display = {str(index): _display_array(spectrum) for index, (_, spectrum) in enumerate(spectra)}
    display |= {f"{index}.unit": np.array(spectrum.flux_unit) for index, (_, spectrum) in enumerate(spectra)}
    planes = [spectrum.plane for _, spectrum in spectra]
    shard = _write_shard(batch_id, Product.Kind.SPECTRUM, planes, display=display)
    rows = [
        (product_id, index, spectrum.missing_share, spectrum.coverage, rules.is_usable_spectrum(spectrum))
        for index, (product_id, spectrum) in enumerate(spectra)
    ]
    names = ("product_id", "shard_index", "missing_share", "coverage", "usable")
    insert_rows(Plane, names, rows, same={"shard_id": shard.pk, "number": 0})


def _display_array(spectrum: Spectrum) -> np.ndarray:
    """(3, n) float64: wavelength in nm, flux, error; NaN where there is none."""
    error = spectrum.error if spectrum.error is not None else np.full_like(spectrum.flux, np.nan)
    return np.stack([spectrum.wavelength_nm, spectrum.flux, error]).astype(np.float64)


def _write_shard(
    batch_id: int, kind: str, planes: list[np.ndarray], *, display: dict[str, np.ndarray] | None = None
) -> Shard:
    """Write a packed file under a name made of its content: a repeated attempt writes the same file again."""
    sha256 = digest_of(planes)
    relative = Path(f"{batch_id}") / f"{kind}-{sha256[:24]}.npy"
    write_shard(settings.SHARD_ROOT / relative, planes, sha256=sha256)
    display_path = ""
    if display is not None:
        display_path = str(relative.with_suffix(".display.npz"))
        _write_display(settings.SHARD_ROOT / display_path, display)
    shard, _ = Shard.objects.get_or_create(
        path=str(relative),
        defaults={
            "batch_id": batch_id,
            "kind": kind,
            "sha256": sha256,
            "shape": [len(planes), *planes[0].shape],
            "display_path": display_path,
        },
    )
    return shard


def _write_display(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes one array type a keyword
    Path(file.name).chmod(0o644)
    os.replace(file.name, path)  # noqa: PTH105 - atomic, and says so
