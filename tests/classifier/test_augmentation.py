"""Random variations leave the answer, the shape and the mask in order."""

from __future__ import annotations

import pytest
import torch

from classifier.augmentation import (
    DIHEDRAL_VIEWS,
    ImageAugmentation,
    SpectrumAugmentation,
    dihedral_view,
    turned_and_shifted,
)

STILL = ImageAugmentation(shift_px=0, noise=0, brightness=0)
STILL_SPECTRUM = SpectrumAugmentation(shift_bins=0, noise=0, scale=0, tilt=0, gap_bins=0)


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_the_eight_views_are_different_and_the_first_changes_nothing():
    planes = random(1, 16, 16)
    views = [dihedral_view(planes, view) for view in range(DIHEDRAL_VIEWS)]
    assert torch.equal(views[0], planes)
    assert len({tuple(view.flatten().tolist()) for view in views}) == 8


@pytest.mark.parametrize("view", range(DIHEDRAL_VIEWS))
def test_the_gather_gives_one_of_the_eight_views(view):
    planes = random(2, 16, 16)
    turned = turned_and_shifted(planes, views=torch.tensor([view, view]), shifts_px=torch.zeros(2, 2).long())
    assert any(torch.equal(turned, dihedral_view(planes, other)) for other in range(8))


def test_a_shift_repeats_the_edge_and_moves_the_rest():
    planes = random(1, 16, 16)
    shifted = turned_and_shifted(planes, views=torch.tensor([0]), shifts_px=torch.tensor([[3, 0]]))
    assert torch.equal(shifted[0, 3:], planes[0, :-3])
    assert torch.equal(shifted[0, 0], planes[0, 0])


def test_an_image_without_noise_keeps_its_values():
    planes = random(8, 16, 16)
    varied = STILL(planes, torch.Generator().manual_seed(0))
    assert torch.equal(varied.flatten(1).sort(dim=1).values, planes.flatten(1).sort(dim=1).values)


def test_the_same_seed_gives_the_same_variations():
    planes = random(4, 16, 16)
    augment = ImageAugmentation()
    first, second = (augment(planes, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(planes, torch.Generator().manual_seed(6)))


def test_a_spectrum_with_every_variation_at_zero_is_unchanged():
    planes = torch.stack((random(3, 64), torch.ones(3, 64)), dim=1)
    assert torch.equal(STILL_SPECTRUM(planes, torch.Generator().manual_seed(0)), planes)


def test_missing_flux_stays_missing_and_shifted_in_bins_are_missing():
    planes = torch.stack((random(20, 256) + 3, torch.ones(20, 256)), dim=1)
    planes[:, 1, 100:140] = 0
    varied = SpectrumAugmentation(shift_bins=5, gap_bins=0)(planes, torch.Generator().manual_seed(0))
    assert set(varied[:, 1].unique().tolist()) == {0.0, 1.0}
    assert (varied[:, 0][varied[:, 1] == 0] == 0).all()
    assert (varied[:, 1, 105:135] == 0).all()
    assert (varied[:, 1].sum(dim=1) >= 256 - 40 - 5).all()


def test_a_redshift_moves_the_line():
    planes = torch.zeros(200, 2, 64)
    planes[:, 1] = 1
    planes[:, 0, 30] = 10
    shift_only = SpectrumAugmentation(shift_bins=2, noise=0, scale=0, tilt=0, gap_bins=0)
    places = shift_only(planes, torch.Generator().manual_seed(0))[:, 0].argmax(dim=1)
    assert sorted(places.unique().tolist()) == [28, 29, 30, 31, 32]
