"""Products and the batches in which they came. The file's own header is the source of truth for its facts."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class IngestBatch(models.Model):
    """One order to ingest: what was asked for, by whom, when. Its counts are counted from its products."""

    source = models.CharField(max_length=1000, help_text="The paths or addresses as given.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"batch {self.pk}: {self.source[:80]}"


class Product(models.Model):
    """One archive file, with its ObsCore facts and where it came from."""

    class State(models.TextChoices):
        RECEIVED = "received"
        INGESTED = "ingested"
        REJECTED = "rejected"

    class Kind(models.TextChoices):
        IMAGE = "image"
        SPECTRUM = "spectrum"

    # An index that begins with a foreign key serves it too, here and below.
    batch = models.ForeignKey(IngestBatch, on_delete=models.PROTECT, related_name="products", db_index=False)
    uri = models.CharField(max_length=1000, help_text="Where the file was read from.")
    dp_id = models.CharField(max_length=200, help_text="The archive's identifier, or the file's name.")
    state = models.CharField(max_length=8, choices=State, default=State.RECEIVED)
    kind = models.CharField(max_length=8, choices=Kind, blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = models.TextField(blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(null=True)

    object_name = models.CharField(max_length=200, blank=True)
    instrument = models.CharField(max_length=100, blank=True)
    telescope = models.CharField(max_length=100, blank=True)
    product_category = models.CharField(max_length=60, blank=True)
    proposal_id = models.CharField(max_length=60, blank=True)
    filter_name = models.CharField(max_length=60, blank=True)
    ra_deg = models.FloatField(null=True)
    dec_deg = models.FloatField(null=True)
    exposure_time_s = models.FloatField(null=True)
    observed_at = models.DateTimeField(null=True)
    wavelength_min_nm = models.FloatField(null=True)
    wavelength_max_nm = models.FloatField(null=True)
    signal_to_noise = models.FloatField(null=True)
    seeing_arcsec = models.FloatField(null=True)
    header = models.JSONField(default=dict, help_text="The chosen cards of the file's header.")
    created_at = models.DateTimeField(db_default=Now())
    ingested_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # Not `unique=True`, which would add a second index, for the beginnings of addresses.
            models.UniqueConstraint(fields=["uri"], name="product_uri_unique"),
            models.UniqueConstraint(
                fields=["dp_id"], condition=models.Q(state="ingested"), name="product_dp_id_unique"
            ),
            models.UniqueConstraint(
                fields=["sha256"], condition=models.Q(state="ingested"), name="product_content_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["received", "ingested", "rejected"]), name="product_state_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="rejected") | ~models.Q(error_code=""),
                name="product_rejected_has_reason",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="ingested") | models.Q(kind__in=["image", "spectrum"]),
                name="product_ingested_has_kind",
            ),
        ]
        indexes = [models.Index(fields=["batch", "state"], name="product_batch_state")]

    def __str__(self) -> str:
        return self.dp_id


class Shard(models.Model):
    """A packed file of planes: what the network reads instead of the FITS files (docs/architecture.md)."""

    batch = models.ForeignKey(IngestBatch, on_delete=models.PROTECT, related_name="shards")
    kind = models.CharField(max_length=8, choices=Product.Kind)
    path = models.CharField(max_length=400, unique=True, help_text="Below ESOCS_SHARD_ROOT.")
    sha256 = models.CharField(max_length=64)
    shape = ArrayField(models.PositiveIntegerField(), help_text="(planes, …) of float16.")
    display_path = models.CharField(
        max_length=400,
        blank=True,
        help_text="For eyes: an .npz with an array a plane, (3, n) of a spectrum, (3, H, W) of bands.",
    )
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.path


class Plane(models.Model):
    """One cut-out of a product, as it lies in a shard. A subject shows exactly one plane."""

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="planes", db_index=False)
    number = models.PositiveIntegerField(help_text="Which cut-out of the product, from 0.")
    shard = models.ForeignKey(Shard, on_delete=models.PROTECT, related_name="planes", db_index=False)
    shard_index = models.PositiveIntegerField()
    x_px = models.FloatField(null=True, help_text="Centre in the product's pixels, from 0.")
    y_px = models.FloatField(null=True)
    ra_deg = models.FloatField(null=True)
    dec_deg = models.FloatField(null=True)
    sky = ArrayField(
        models.FloatField(),
        null=True,
        help_text="Its tangent plane: RA, Dec, x, y, four of the CD matrix, tolerance (classifier.fits.wcs.LocalSky).",
    )
    size_px = models.PositiveIntegerField(null=True, help_text="Side of the cut-out in the product's pixels.")
    scale = models.PositiveIntegerField(default=1, help_text="Product pixels averaged into one of the plane.")
    background = models.FloatField(default=0.0, help_text="Value in the file = background + noise × plane.")
    noise = models.FloatField(default=1.0)
    missing_share = models.FloatField(default=0.0)
    saturated_share = models.FloatField(default=0.0)
    coverage = models.FloatField(default=1.0, help_text="Share of the network's input that holds data.")
    usable = models.BooleanField(default=True, help_text="Its quality flags pass: a machine's answer may be accepted.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["product", "number"], name="plane_product_number_unique"),
            models.UniqueConstraint(fields=["shard", "shard_index"], name="plane_shard_index_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.product_id}/{self.number}"
