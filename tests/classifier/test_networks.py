"""The encoders and the loss on vote counts."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gammaln
from torch import nn
from torch.nn import functional

from classifier.networks import ARCHITECTURES, SIZES, UnknownArchitectureError, build_network, count_weights
from classifier.networks.heads import dirichlet_multinomial_loss
from classifier.networks.image import ImageNetwork, stretch
from classifier.networks.spectrum import SpectrumNetwork, channels_of
from classifier.networks.timm_encoder import TimmMissingError, TimmNetwork, UnknownEncoderError

from .quick_planes import TINY_IMAGE, TINY_SPECTRUM, blobs, lines


@pytest.mark.parametrize(
    ("network", "planes"),
    [
        (ImageNetwork(answers={"T0": 6, "T1": 2}), blobs(3)[0]),
        (SpectrumNetwork(answers={"T0": 6, "T1": 2}), lines(3)[0]),
    ],
)
def test_a_network_gives_logits_per_question_and_an_embedding_of_length_one(network, planes):
    logits, embedding = network.eval()(torch.from_numpy(planes))
    assert {name: tuple(values.shape) for name, values in logits.items()} == {"T0": (3, 6), "T1": (3, 2)}
    assert embedding.shape == (3, 128)
    assert embedding.dtype == torch.float32
    assert torch.allclose(embedding.norm(dim=1), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 128, 128), (2, 2, 1024)])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf, 6e4, -1e3])
def test_no_plane_makes_an_output_that_is_not_finite(shape, value):
    name = "image-convnext-3" if len(shape) == 3 and shape[1] == 128 else "spectrum-convnext-3"
    network = build_network(name, {"answers": {"T0": 3}, **TINY_IMAGE}).eval()
    logits, embedding = network(torch.full(shape, value))
    assert torch.isfinite(logits["T0"]).all()
    assert torch.isfinite(embedding).all()


def test_the_stretch_is_an_asinh_in_units_of_the_noise():
    planes = torch.linspace(-900, 60_000, 2 * 128 * 128).reshape(2, 128, 128)
    channels = stretch(planes)
    assert channels.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(channels[:, 0], torch.asinh(planes) / 3, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(channels[:, 1], torch.asinh(planes / 30) / 2, rtol=1e-5, atol=1e-6)


def test_the_shape_channel_does_not_see_the_brightness():
    planes = torch.from_numpy(blobs(3)[0]).float() * 100
    torch.testing.assert_close(stretch(planes)[:, 2], stretch(7 * planes)[:, 2], rtol=1e-4, atol=1e-5)


def test_flux_where_the_mask_is_zero_is_not_seen():
    planes = torch.from_numpy(lines(4)[0]).float()
    planes[:, 1, 200:300] = 0
    other = planes.clone()
    other[:, 0, 200:300] = 50
    assert torch.equal(channels_of(planes), channels_of(other))


@given(
    seed=st.integers(0, 2**32 - 1),
    votes=st.lists(st.integers(0, 12), min_size=2, max_size=6).filter(lambda counts: sum(counts) > 0),
)
@settings(max_examples=60, deadline=None)
def test_the_loss_is_the_dirichlet_multinomial_of_scipy_without_its_constant(seed, votes):
    rng = np.random.default_rng(seed)
    logits, concentration = 2 * rng.normal(size=len(votes)), rng.uniform(1, 100)
    alpha = concentration * np.exp(logits) / np.exp(logits).sum()
    counts = np.array(votes)
    constant = gammaln(counts.sum() + 1) - gammaln(counts + 1).sum()
    expected = -(stats.dirichlet_multinomial(alpha, counts.sum()).logpmf(counts) - constant)
    loss = dirichlet_multinomial_loss(
        torch.tensor(logits)[None], torch.tensor([concentration]).log().double(), torch.tensor(counts)[None].double()
    )
    assert loss.item() == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_with_one_vote_the_loss_is_the_cross_entropy_at_any_concentration():
    logits = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 5
    votes = functional.one_hot(labels, 5).float()
    log_concentration = torch.linspace(0, 4.6, 20)
    torch.testing.assert_close(
        dirichlet_multinomial_loss(logits, log_concentration, votes),
        functional.cross_entropy(logits, labels, reduction="none"),
        rtol=1e-4,
        atol=1e-4,
    )


def test_a_question_that_was_not_asked_costs_nothing_and_moves_nothing():
    logits = torch.randn(2, 3, requires_grad=True)
    votes = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 2.0]])
    loss = dirichlet_multinomial_loss(logits, torch.ones(2), votes)
    loss.sum().backward()
    assert loss[0] == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad[0], torch.zeros(3))


def test_the_gradient_stays_finite_where_a_probability_underflows():
    logits = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
    loss = dirichlet_multinomial_loss(logits, torch.ones(1), torch.tensor([[0.0, 3.0, 1.0]]))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {TimmNetwork.architecture}))
def test_a_network_can_be_built_again_from_its_arguments(name):
    network = build_network(name, {"answers": {"T0": 3}, **TINY_SPECTRUM})
    again = build_network(name, network.arguments)
    again.load_state_dict(network.state_dict())
    assert again.arguments == network.arguments


def test_an_unknown_architecture_is_refused_by_name():
    with pytest.raises(UnknownArchitectureError, match="image-convnext-9"):
        build_network("image-convnext-9", {"answers": {"T0": 2}})


def test_unknown_arguments_are_refused():
    with pytest.raises(UnknownArchitectureError, match="image-convnext-3"):
        build_network("image-convnext-3", {"answers": {"T0": 2}, "heads": 8})


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("network_class", [ImageNetwork, SpectrumNetwork])
def test_every_size_has_the_weights_that_its_name_promises(network_class, size):
    with torch.device("meta"):
        network = network_class(answers={"T0": 5}, **SIZES[size])
    # A size names the encoder; what tells strangers apart is as large beside each.
    millions = (count_weights(network) - count_weights(network.strangeness)) / 1e6
    low, high = {"yocto": (0.1, 0.4), "atto": (2, 4), "femto": (3, 5), "pico": (6, 9), "nano": (11, 16)}[size]
    assert low < millions < high


def test_a_larger_size_answers_too():
    network = SpectrumNetwork(answers={"T0": 5}, **SIZES["atto"]).eval()
    logits, embedding = network(torch.from_numpy(lines(2)[0]))
    assert logits["T0"].shape == (2, 5)
    assert embedding.shape == (2, 128)


def test_the_unlearned_half_of_an_embedding_does_not_depend_on_the_heads():
    planes = torch.from_numpy(blobs(4)[0])
    torch.manual_seed(0)
    network = ImageNetwork(answers={"T0": 3}).eval()
    before = network(planes)[1]
    torch.nn.init.normal_(network.embed.weight)
    after = network(planes)[1]
    ratio = before[:, 64:-1] / before[:, -1:]
    torch.testing.assert_close(ratio, after[:, 64:-1] / after[:, -1:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(before[:, :64], after[:, :64])


def test_an_encoder_of_timm_without_timm_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(TimmMissingError, match=r"esocs\[timm\]"):
        build_network(TimmNetwork.architecture, {"answers": {"T0": 3}, "encoder": "resnet18"})


class PooledPixels(nn.Module):
    """What stands in for one of timm's encoders: pooled features, and how many there are."""

    num_features = 12

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 12, 8, stride=8)

    def forward(self, x):
        return self.convolution(x).mean(dim=(2, 3))


@pytest.fixture
def stand_in_timm(monkeypatch):
    def create_model(name, *, pretrained, num_classes, in_chans):
        if name != "pooled_pixels":
            raise RuntimeError(f"Unknown model ({name})")
        assert (num_classes, in_chans) == (0, 3)
        asked.append(pretrained)
        return PooledPixels()

    asked: list[bool] = []
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    return asked


def test_an_encoder_of_timm_by_name_gives_logits_and_an_embedding(stand_in_timm):
    network = build_network(
        TimmNetwork.architecture, {"answers": {"T0": 3}, "encoder": "pooled_pixels", "pretrained": True}
    ).eval()
    logits, embedding = network(torch.from_numpy(blobs(2)[0]))
    assert logits["T0"].shape == (2, 3)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))
    build_network(TimmNetwork.architecture, network.arguments)
    assert stand_in_timm == [True, False], "what is read back from a file fetches nothing"


def test_an_encoder_that_timm_does_not_have_is_refused_by_name(stand_in_timm):
    with pytest.raises(UnknownEncoderError, match="no_such"):
        build_network(TimmNetwork.architecture, {"answers": {"T0": 3}, "encoder": "no_such"})
