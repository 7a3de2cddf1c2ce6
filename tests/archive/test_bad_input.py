"""Every bad file becomes a rejected product with a named error and a reason, and the rest of its batch goes on."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from classifier.fits import keeper
from classifier.fits.sandbox import FitsReader
from esocs.archive import queries, services
from esocs.archive.models import Plane, Product
from esocs.jobs.models import Job
from tests.classifier.fits.files import bad_files, galaxy, write_image, write_spectrum
from tests.support.survey import ingest, run_jobs

pytestmark = pytest.mark.django_db


def test_every_bad_file_is_rejected_by_name_and_the_good_ones_beside_it_are_read(tmp_path: Path) -> None:
    expected = {}
    files = []
    for number, (name, (content, code)) in enumerate(sorted(bad_files().items())):
        bad = tmp_path / f"{name}.fits"
        bad.write_bytes(content)
        expected[str(bad)] = code
        good = tmp_path / f"{name}.good.fits"
        files += [bad, write_image(good, galaxy(64, 64, seed=number))]
    batch = ingest(files)
    rejected = dict(Product.objects.filter(state="rejected").values_list("uri", "error_code"))
    assert rejected == expected
    assert len(set(expected.values())) >= 10
    assert not Product.objects.filter(state="rejected", error_detail="").exists()
    outcome = queries.summarise_batch(batch)
    assert (outcome.ingested, outcome.rejected) == (len(expected), len(expected))
    assert Plane.objects.count() == len(expected)
    assert set(Job.objects.values_list("state", flat=True)) == {"done"}


def test_the_operator_sees_the_rejected_newest_first_and_by_error(tmp_path: Path) -> None:
    for name, content in (("a", b""), ("b", b"<html>"), ("c", b"")):
        (tmp_path / f"{name}.fits").write_bytes(content)
    batch = ingest(services.find_files([tmp_path]))
    assert [Path(p.uri).stem for p in queries.list_rejected(error_code="empty_file")] == ["c", "a"]
    (listed,) = queries.list_batches()
    assert (listed, listed.ingested, listed.rejected) == (batch, 0, 3)


def test_a_reader_that_a_file_took_over_costs_that_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_CHILD_MODULE", "tests.classifier.fits.misbehaving_child")
    reader = FitsReader()
    monkeypatch.setattr(services, "_reader", lambda: reader)
    good = [write_image(tmp_path / f"{k}.fits", galaxy(40, 40, seed=k)) for k in range(3)]
    forged = write_image(tmp_path / "forged.fits", galaxy(40, 40, seed=3), cards=[("OBJECT", "forged")])
    with reader:
        ingest([good[0], forged, *good[1:]])
    refused = Product.objects.get(state="rejected")
    assert (refused.uri, refused.error_code) == (str(forged), "unreadable")
    assert set(Product.objects.filter(state="ingested").values_list("uri", flat=True)) == set(map(str, good))
    assert Plane.objects.count() == len(good)


def test_a_file_that_vanished_before_it_was_read_is_rejected(tmp_path: Path) -> None:
    present = write_spectrum(tmp_path / "a.fits")
    absent = tmp_path / "b.fits"
    ingest([present, absent])
    refused = Product.objects.get(state="rejected")
    assert (refused.uri, refused.size_bytes) == (str(absent), None)
    assert refused.error_code == "unreadable"
    assert Product.objects.filter(state="ingested").count() == 1


def test_a_rejected_file_stays_rejected_when_it_is_ordered_again(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"")
    ingest([tmp_path / "a.fits"])
    again = ingest([tmp_path / "a.fits"])
    assert Product.objects.count() == 1
    assert queries.summarise_batch(again).rejected == 0


def test_a_compressed_file_is_read_like_a_plain_one(tmp_path: Path) -> None:
    plain = write_image(tmp_path / "a.fits")
    packed = tmp_path / "b.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    ingest([packed])
    product = Product.objects.get()
    assert (product.state, product.dp_id) == ("ingested", "b")


@pytest.mark.parametrize("name", [b"caf\xe9.fits", b"new\nline.fits", "μ Cen, 2″ slit.fits".encode()])
def test_an_odd_file_name_harms_nobody(tmp_path: Path, name: bytes) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    odd.write_bytes(b"")
    good = write_image(tmp_path / "good.fits")
    batch, _ = services.order_ingest(files=services.find_files([tmp_path]), source=str(tmp_path))
    run_jobs()
    assert Product.objects.get(state="ingested").uri == str(good)
    assert queries.summarise_batch(batch).rejected_by_error == {"empty_file": 1}
