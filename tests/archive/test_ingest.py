"""FITS files in, products with their facts, planes and shards out; ingesting anything again changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.db import IntegrityError, transaction

from classifier.shards import open_shard
from esocs.archive import queries, services
from esocs.archive.models import IngestBatch, Plane, Product, Shard
from esocs.jobs import services as jobs
from esocs.jobs.models import Job
from esocs.projects.models import SetMemberSubject, Subject
from tests.classifier.fits.files import WCS_CARDS, empty_primary, galaxy, image_hdu, write_image
from tests.support.factories import make_project, make_workflow
from tests.support.survey import ingest, replay, run_jobs, write_simulated

pytestmark = pytest.mark.django_db


def count_rows() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in (Product, Plane, Shard, IngestBatch, Subject)}


def test_an_image_becomes_a_product_with_the_facts_of_its_header(tmp_path: Path) -> None:
    (row,) = write_simulated(tmp_path, kind="image", count=1)
    batch = ingest([tmp_path / row.file_name])
    product = Product.objects.get()
    assert (product.state, product.kind, product.batch) == ("ingested", "image", batch)
    assert product.dp_id == row.dp_id
    assert product.instrument
    assert product.filter_name
    assert product.exposure_time_s is not None
    assert product.exposure_time_s > 0
    assert product.ra_deg is not None
    assert 0 <= product.ra_deg < 360
    assert product.observed_at is not None
    assert product.ingested_at is not None
    assert product.size_bytes == (tmp_path / row.file_name).stat().st_size
    assert product.header


def test_its_cut_out_lies_in_a_shard_with_what_turns_it_back_into_the_files_values(tmp_path: Path) -> None:
    pixels = galaxy()
    ingest([write_image(tmp_path / "galaxy.fits", pixels)])
    plane = Plane.objects.select_related("shard").get()
    stored = open_shard(settings.SHARD_ROOT / plane.shard.path, sha256=plane.shard.sha256)
    assert list(stored.shape) == plane.shard.shape == [1, 128, 128]
    assert plane.usable
    assert (plane.number, plane.scale) == (0, 1)
    values = plane.background + plane.noise * stored[plane.shard_index].astype(np.float64)
    assert np.abs(values - pixels).max() < 0.01 * pixels.max()


def test_a_spectrum_keeps_the_networks_plane_and_the_one_for_eyes(tmp_path: Path) -> None:
    (row,) = write_simulated(tmp_path, kind="spectrum", count=1)
    ingest([tmp_path / row.file_name])
    product = Product.objects.get()
    assert (product.state, product.kind, product.error_code) == ("ingested", "spectrum", "")
    assert product.wavelength_min_nm is not None
    assert product.wavelength_max_nm is not None
    assert product.wavelength_min_nm < product.wavelength_max_nm
    plane = Plane.objects.select_related("shard").get()
    assert 0 < plane.coverage <= 1
    shown = queries.read_display_spectrum(plane.shard, plane.shard_index)
    assert (np.diff(shown.wavelength_nm) > 0).all()
    assert shown.wavelength_nm.shape == shown.flux.shape
    assert product.wavelength_min_nm - 1 <= shown.wavelength_min_nm < shown.wavelength_max_nm


def test_a_project_gets_a_subject_for_each_plane_in_the_set_of_its_workflow(tmp_path: Path) -> None:
    project = make_project()
    images, spectra = make_workflow(project), make_workflow(project, kind="spectrum")
    rows = write_simulated(tmp_path, kind="image", count=2) + write_simulated(tmp_path, kind="spectrum", count=1)
    ingest([tmp_path / row.file_name for row in rows], project=project)
    assert Subject.objects.filter(project=project).count() == 3
    for workflow, kind, count in ((images, "image", 2), (spectra, "spectrum", 1)):
        members = SetMemberSubject.objects.filter(subject_set__workflows=workflow)
        assert list(members.values_list("subject__kind", flat=True)) == [kind] * count
    shown = Subject.objects.get(plane__product__dp_id=rows[0].dp_id).metadata
    assert shown["#dp_id"] == rows[0].dp_id
    assert shown["instrument"]


def test_ingesting_the_same_paths_again_changes_nothing(tmp_path: Path) -> None:
    project = make_project()
    make_workflow(project)
    rows = write_simulated(tmp_path, kind="image", count=2)
    files = [tmp_path / row.file_name for row in rows]
    ingest(files, project=project)
    before = count_rows()
    facts = list(Product.objects.order_by("id").values())
    ingest(files, project=project)
    assert count_rows() == {**before, "IngestBatch": before["IngestBatch"] + 1}
    assert list(Product.objects.order_by("id").values()) == facts


def test_products_that_were_read_before_become_subjects_of_a_project_that_asks_later(tmp_path: Path) -> None:
    rows = write_simulated(tmp_path, kind="image", count=2)
    files = [tmp_path / row.file_name for row in rows]
    ingest(files)
    assert not Subject.objects.exists()
    project = make_project()
    make_workflow(project)
    ingest(files, project=project)
    assert Subject.objects.filter(project=project).count() == 2
    assert Product.objects.count() == 2


def test_a_job_that_runs_again_doubles_nothing(tmp_path: Path) -> None:
    project = make_project()
    make_workflow(project)
    rows = write_simulated(tmp_path, kind="image", count=2)
    ingest([tmp_path / row.file_name for row in rows], project=project)
    before = count_rows()
    assert replay() == 2
    assert count_rows() == before
    assert set(Job.objects.values_list("state", flat=True)) == {"done"}


def test_of_two_workers_with_the_same_files_the_one_without_the_lease_writes_nothing(tmp_path: Path) -> None:
    (row,) = write_simulated(tmp_path, kind="image", count=1)
    _, (job,) = services.order_ingest(files=[tmp_path / row.file_name], source="test")
    lost = jobs.claim(job)
    assert lost is not None
    effect = services.ingest_files(batch_id=lost.payload["batch_id"], number=0, paths=[tmp_path / row.file_name])
    Job.objects.update(state="queued", lease_token=None, lease_until=None)
    assert jobs.run_job(job)
    before = count_rows()

    @transaction.atomic
    def commit_late() -> None:
        effect()
        jobs._finish(lost)

    with pytest.raises((IntegrityError, jobs.LeaseLostError)):
        commit_late()
    assert count_rows() == before


def test_a_long_order_is_cut_into_jobs_of_some_hundred_files(tmp_path: Path) -> None:
    files = [tmp_path / f"{number:03d}.fits" for number in range(1000)]
    batch, job_ids = services.order_ingest(files=files, source="test")
    payloads = list(Job.objects.filter(pk__in=job_ids).order_by("id").values_list("payload", "group"))
    assert [len(payload["paths"]) for payload, _ in payloads] == [400, 400, 200]
    assert {group for _, group in payloads} == {f"ingest/{batch.pk}"}


def test_a_very_long_order_is_cut_into_jobs_of_up_to_a_thousand_files(tmp_path: Path) -> None:
    for count, largest in ((20_000, 500), (42_000, 1000)):
        files = [tmp_path / f"{count}-{number}.fits" for number in range(count)]
        _, job_ids = services.order_ingest(files=files, source="test")
        sizes = [
            len(payload["paths"]) for payload in Job.objects.filter(pk__in=job_ids).values_list("payload", flat=True)
        ]
        assert max(sizes) == largest
        assert sum(sizes) == count


def test_chosen_positions_are_cut_instead_of_the_target(tmp_path: Path) -> None:
    file = write_image(tmp_path / "field.fits", galaxy(400, 400), WCS_CARDS)
    at = [(150.0, -30.0), (149.995, -29.995)]
    services.order_ingest(files=[file], source="test", positions={"field.fits": at})
    run_jobs()
    planes = list(Plane.objects.order_by("number"))
    assert [plane.number for plane in planes] == [0, 1]
    for plane, (ra, dec) in zip(planes, at, strict=True):
        assert plane.ra_deg == pytest.approx(ra, abs=1e-3)
        assert plane.dec_deg == pytest.approx(dec, abs=1e-3)


def test_the_same_content_under_another_path_is_a_duplicate(tmp_path: Path) -> None:
    first = write_image(tmp_path / "a.fits")
    ingest([first])
    shutil.copy(first, tmp_path / "b.fits")
    batch = ingest([tmp_path / "b.fits"])
    refused = Product.objects.get(batch=batch)
    assert (refused.state, refused.error_code) == ("rejected", "duplicate")
    assert str(first) in refused.error_detail
    assert "content" in refused.error_detail
    assert Plane.objects.count() == 1


def test_the_same_identifier_with_other_content_is_a_duplicate(tmp_path: Path) -> None:
    cards = [("ARCFILE", "ADP.2020-01-01T00:00:00.000")]
    first = write_image(tmp_path / "a.fits", galaxy(seed=1), cards)
    second = write_image(tmp_path / "b.fits", galaxy(seed=2), cards)
    batch = ingest([first, second])
    outcome = queries.summarise_batch(batch)
    assert (outcome.ingested, outcome.rejected_by_error) == (1, {"duplicate": 1})
    assert "identifier" in queries.list_rejected().get().error_detail


def test_two_equal_files_in_one_order_are_one_product_and_one_duplicate(tmp_path: Path) -> None:
    files = [write_image(tmp_path / f"{name}.fits") for name in ("a", "b")]
    outcome = queries.summarise_batch(ingest(files))
    assert (outcome.ingested, outcome.rejected_by_error) == (1, {"duplicate": 1})


def test_an_image_with_two_extensions_gives_what_its_header_points_at(tmp_path: Path) -> None:
    path = tmp_path / "mosaic.fits"
    path.write_bytes(empty_primary() + image_hdu(galaxy(seed=3), extension="SCI"))
    ingest([path])
    assert Product.objects.get().state == "ingested"
    assert Plane.objects.count() == 1
