"""What a network has never met is strange to it; statistics and perceptron against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.calibration import out_of_distribution_p_values
from classifier.distortion import DISTORTIONS, distorted_spectra
from classifier.networks import build_network
from classifier.networks.statistics import ImageStatistics, SpectrumStatistics
from classifier.strangeness import fit_strangeness, measure_strangeness

from .quick_planes import TINY_IMAGE, TINY_SPECTRUM, blobs, lines

STEPS = 250


def fitted(architecture, arguments, planes, labels, *, steps=STEPS):
    network = build_network(architecture, {"answers": {"T0": int(labels.max()) + 1}, **arguments}).eval()
    fit_strangeness(network, planes, positions=np.arange(len(planes)), groups=labels, steps=steps, seed=0)
    return network


def strangeness_of(network, planes):
    return measure_strangeness(network, planes, np.arange(len(planes)))


@pytest.fixture(scope="module")
def two_forms():
    """A network that knows points and bars, and planes of them that it has not met."""
    planes, labels = blobs(360)
    known = labels < 2
    network = fitted("image-convnext-3", TINY_IMAGE, planes[known], labels[known])
    fresh, fresh_labels = blobs(450, seed=1)
    return network, fresh[fresh_labels < 2], fresh[fresh_labels == 2]


def test_a_form_never_met_is_strange_and_the_known_raise_few_alarms(two_forms):
    network, known, strange = two_forms
    held_out, tested = np.split(strangeness_of(network, known), 2)
    assert (out_of_distribution_p_values(strangeness_of(network, strange), held_out) < 0.01).mean() > 0.9
    assert (out_of_distribution_p_values(tested, held_out) < 0.01).mean() < 0.05


def test_a_spectrum_with_a_defect_never_met_is_strange():
    planes, labels = lines(400)
    network = fitted("spectrum-convnext-3", TINY_SPECTRUM, planes[:200], labels[:200])
    odd = planes[:40].copy()
    odd[:, 0] += 0.5 * np.sin(np.arange(1024) / 3).astype(np.float16)
    p = out_of_distribution_p_values(strangeness_of(network, odd), strangeness_of(network, planes[200:]))
    assert (p < 0.01).mean() > 0.9


def test_the_same_seed_learns_the_same_and_leaves_the_callers_random_numbers_alone():
    planes, labels = blobs(12)
    network = build_network("image-convnext-3", {"answers": {"T0": 3}, **TINY_IMAGE}).eval()
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    learned = []
    for _ in range(2):
        fit_strangeness(network, planes, positions=np.arange(12), groups=labels, steps=5, seed=0)
        learned.append(strangeness_of(network, planes))
    assert torch.equal(torch.rand(2), expected)
    assert (learned[0] == learned[1]).all()


def test_what_is_known_is_learned_beside_the_network_and_changes_no_answer():
    planes, labels = blobs(30)
    network = build_network("image-convnext-3", {"answers": {"T0": 3}, **TINY_IMAGE}).eval()
    before = network(torch.from_numpy(planes))
    fit_strangeness(network, planes, positions=np.arange(30), groups=labels, steps=3, seed=0)
    after = network(torch.from_numpy(planes))
    assert torch.equal(before[0]["T0"], after[0]["T0"])
    assert torch.equal(before[1], after[1])
    assert not network.strangeness.training


@given(kind=st.sampled_from(["image", "spectrum"]), level=st.sampled_from([0.0, 1e-4, 6e4, -6e4, np.nan, np.inf]))
@settings(max_examples=12, deadline=None)
def test_no_plane_has_statistics_that_are_not_finite(kind, level):
    shape, statistics = ((2, 128, 128), ImageStatistics()) if kind == "image" else ((2, 2, 1024), SpectrumStatistics())
    found = statistics(torch.full(shape, level))
    assert found.shape == (2, statistics.size)
    assert torch.isfinite(found).all()


def test_turning_or_mirroring_an_image_hardly_moves_its_statistics():
    planes = torch.from_numpy(blobs(12)[0]).float()
    statistics = ImageStatistics()
    found, spread = statistics(planes), statistics(planes).std(dim=0) + 0.05
    for view in (planes.flip(1), planes.flip(2), planes.transpose(1, 2), planes.rot90(1, (1, 2))):
        assert ((statistics(view) - found).abs() / spread).mean() < 0.02


def test_what_the_mask_hides_of_a_spectrum_is_not_measured():
    planes = torch.from_numpy(lines(4)[0]).float()
    planes[:, 1, 200:300] = 0
    other = planes.clone()
    other[:, 0, 200:300] = 50
    statistics = SpectrumStatistics()
    assert torch.equal(statistics(planes), statistics(other))


@pytest.mark.parametrize("distort", DISTORTIONS, ids=lambda distort: distort.__name__.strip("_"))
def test_every_distortion_changes_a_spectrum_and_keeps_it_finite_and_of_its_length(distort):
    planes = torch.from_numpy(lines(8)[0]).float()
    torch.manual_seed(3)
    for _ in range(8):  # what it does is drawn by chance
        flux, mask = distort(planes[:, 0], planes[:, 1])
        assert flux.shape == mask.shape == (8, 1024)
        assert torch.isfinite(flux).all()
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        assert not torch.equal(flux, planes[:, 0])


def test_nothing_that_is_missing_of_a_spectrum_comes_back_distorted():
    planes = torch.from_numpy(lines(32)[0]).float()
    planes[:, 1] = 0
    planes[:, 0, ::7] = torch.nan
    odd = distorted_spectra(planes)
    assert (odd == 0).all()


def test_one_subject_is_enough_to_learn_from_without_failing():
    planes, _ = blobs(1)
    network = fitted("image-convnext-3", TINY_IMAGE, planes, np.zeros(1, dtype=np.int64), steps=5)
    assert np.isfinite(strangeness_of(network, blobs(3)[0])).all()
