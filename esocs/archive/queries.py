"""Reads of the archive room: batches with their outcome, and what was rejected and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import psycopg
from django.conf import settings
from django.db import connection
from django.db.models import Count, Q, QuerySet
from numpy.typing import NDArray

from classifier.fits.content import DisplaySpectrum
from esocs.archive.models import IngestBatch, Product, Shard


@dataclass(frozen=True, kw_only=True)
class BatchOutcome:
    """What became of a batch's files."""

    ingested: int
    rejected: int
    rejected_by_error: dict[str, int]


def summarise_batch(batch: IngestBatch) -> BatchOutcome:
    """Counted from the rows."""
    states = dict(Product.objects.filter(batch=batch).values_list("state").annotate(n=Count("id")).order_by())
    errors = dict(
        Product.objects.filter(batch=batch, state=Product.State.REJECTED)
        .values_list("error_code")
        .annotate(n=Count("id"))
        .order_by()
    )
    return BatchOutcome(
        ingested=states.get(Product.State.INGESTED, 0),
        rejected=states.get(Product.State.REJECTED, 0),
        rejected_by_error=errors,
    )


def list_rejected(*, error_code: str = "") -> QuerySet[Product]:
    """Rejected products with their named error, newest first."""
    rejected = Product.objects.filter(state=Product.State.REJECTED).order_by("-id")
    return rejected.filter(error_code=error_code) if error_code else rejected


def find_known(uris: Iterable[str]) -> set[str]:
    """Those of these addresses at which a file was read before, or was to be."""
    connection.ensure_connection()
    # One array, bound by the server, in place of a thousand parameters, which take longer to write than to look up.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute("SELECT uri FROM archive_product WHERE uri = ANY(%b::text[])", [list(uris)])
        return {uri for (uri,) in cursor.fetchall()}


def list_batches() -> QuerySet[IngestBatch]:
    """Batches, newest first, with their numbers of ingested and rejected products."""
    return IngestBatch.objects.annotate(
        ingested=Count("products", filter=Q(products__state=Product.State.INGESTED)),
        rejected=Count("products", filter=Q(products__state=Product.State.REJECTED)),
    ).order_by("-id")


def read_display_spectrum(shard: Shard, index: int) -> DisplaySpectrum:
    """A spectrum at full display resolution, as it was ingested."""
    with np.load(settings.SHARD_ROOT / shard.display_path, allow_pickle=False) as arrays:
        wavelength, flux, error = arrays[str(index)]
        unit = str(arrays[f"{index}.unit"])
    seen = wavelength[np.isfinite(flux)]
    return DisplaySpectrum(
        wavelength_nm=wavelength,
        flux=flux.astype(np.float32),
        error=None if np.isnan(error).all() else error.astype(np.float32),
        flux_unit=unit,
        wavelength_min_nm=float(seen.min()),
        wavelength_max_nm=float(seen.max()),
    )


def read_bands(shard: Shard, indices: Iterable[int]) -> dict[int, NDArray[np.float16]]:
    """The three bands of those planes of an image shard that have them.

    Args:
        shard: of images.
        indices: places of planes in it.

    Returns:
        place → float16 (3, H, W): red, green, blue, each in units of its own sky noise.
    """
    if shard.kind != Product.Kind.IMAGE or not shard.display_path:
        return {}
    with np.load(settings.SHARD_ROOT / shard.display_path, allow_pickle=False) as arrays:
        return {index: arrays[str(index)] for index in indices if str(index) in arrays}
