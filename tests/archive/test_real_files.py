"""Genuine ESO and other archives' files go all the way: product, subject, picture, spectrum for the page."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
from django.conf import settings
from PIL import Image

from esocs.archive.models import Product
from esocs.projects import services as projects
from esocs.projects.models import Media, Subject
from tests.support.factories import make_project, make_workflow
from tests.support.survey import ingest

pytestmark = [pytest.mark.django_db, pytest.mark.real_data]


def test_the_genuine_files_are_ingested_shown_and_plotted(real_data: Path) -> None:
    project = make_project()
    make_workflow(project)
    make_workflow(project, kind="spectrum")
    files = sorted((real_data / "fits").iterdir())
    ingest(files, project=project)
    products = {Path(product.uri).name: product for product in Product.objects.all()}
    assert {name: (p.state, p.error_code) for name, p in products.items()} == {
        file.name: ("ingested", "") for file in files
    }
    quasar, harps = products["XShooter_XQ100.fits.gz"], next(p for n, p in products.items() if n.startswith("HARPS"))
    assert (quasar.kind, quasar.dp_id) == ("spectrum", "ADP.2016-07-15T08:22:40.678")
    assert (harps.kind, harps.instrument) == ("spectrum", "HARPS")
    assert harps.observed_at is not None
    assert harps.observed_at.isoformat().startswith("2010-09-18T23:42:36")
    assert products["M51.fits.gz"].kind == "image"

    subjects = list(Subject.objects.filter(project=project).select_related("plane__shard"))
    assert len(subjects) >= len(files)
    projects.render_subjects(subjects)()
    for subject in subjects:
        location = Media.objects.get(subject=subject, role="location")
        content = (Path(settings.MEDIA_ROOT) / location.path).read_bytes()
        with Image.open(BytesIO(content)) as picture:
            assert picture.size == (location.width_px, location.height_px)
            low, high = picture.convert("L").getextrema()
            assert high - low > 50
        if subject.kind == "spectrum":
            data = Media.objects.get(subject=subject, role="spectrum_data")
            document = json.loads((Path(settings.MEDIA_ROOT) / data.path).read_text())
            assert len(document["wavelength_nm"]) == len(document["flux"]) > 100
