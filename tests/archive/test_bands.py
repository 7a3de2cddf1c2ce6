"""A file of three bands: one subject, the network's plane in grey, the volunteer's picture in colour."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from PIL import Image

from classifier.shards import open_shard
from esocs.archive import queries
from esocs.archive.models import Plane, Product, Shard
from esocs.projects.models import Media, Subject
from esocs.projects.services import render_subjects
from tests.classifier.fits.files import galaxy, image_hdu, write_image
from tests.support.factories import make_project, make_workflow
from tests.support.survey import ingest, run_jobs

pytestmark = pytest.mark.django_db


def write_bands(path: Path) -> Path:
    """A cube whose last plane, z, shines four times as brightly as the first, g."""
    cube = np.stack([galaxy(seed=9) * factor for factor in (1.0, 2.0, 4.0)])
    noise = np.random.default_rng(1).normal(0.0, 20.0, cube.shape)
    path.write_bytes(image_hdu((cube + noise).astype(np.float32), [("BANDS", "grz"), ("OBJECT", "red")]))
    return path


def test_three_bands_are_one_plane_with_the_bands_beside_it(tmp_path: Path) -> None:
    ingest([write_image(tmp_path / "grey.fits"), write_bands(tmp_path / "colour.fits")])
    assert Product.objects.get(dp_id="colour").filter_name == "g, r, z"
    plane = Plane.objects.get(product__dp_id="colour")
    shard = Shard.objects.get()
    assert list(shard.shape) == [2, 128, 128]
    bands = queries.read_bands(shard, [0, 1])
    assert list(bands) == [plane.shard_index]
    red, green, blue = bands[plane.shard_index][:, 60:68, 60:68].astype(float).mean(axis=(1, 2))
    assert red > green > blue
    network = open_shard(settings.SHARD_ROOT / shard.path)[plane.shard_index]
    assert network.shape == (128, 128)


def test_a_shard_without_colour_keeps_nothing_beside_it(tmp_path: Path) -> None:
    ingest([write_image(tmp_path / "grey.fits")])
    shard = Shard.objects.get()
    assert shard.display_path == ""
    assert queries.read_bands(shard, [0]) == {}


def test_the_volunteer_sees_colour_where_the_file_holds_it_and_grey_elsewhere(tmp_path: Path) -> None:
    project = make_project()
    make_workflow(project=project)
    ingest([write_image(tmp_path / "grey.fits"), write_bands(tmp_path / "colour.fits")], project=project)
    run_jobs()
    render_subjects(Subject.objects.select_related("plane__shard"))()
    modes = {}
    for media in Media.objects.filter(role="location").select_related("subject__plane__product"):
        plane = media.subject.plane
        assert plane is not None
        picture = Image.open(io.BytesIO((Path(settings.MEDIA_ROOT) / media.path).read_bytes()))
        modes[plane.product.dp_id] = (media.media_type, picture.mode, picture.size)
    assert modes == {"grey": ("image/jpeg", "L", (424, 424)), "colour": ("image/jpeg", "RGB", (424, 424))}
