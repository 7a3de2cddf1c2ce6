"""A folded network says what the network says: to rounding in single precision, within a stated bound in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from classifier.folding import best_dtype, fold
from classifier.networks import SIZES, ImageNetwork, SpectrumNetwork

from .quick_planes import TINY_IMAGE, blobs, lines

NETWORKS = {
    "tiny": (ImageNetwork, TINY_IMAGE, blobs(4)[0]),
    "yocto": (ImageNetwork, SIZES["yocto"], blobs(4)[0]),
    "atto": (ImageNetwork, SIZES["atto"], blobs(2)[0]),
    "spectrum": (SpectrumNetwork, {}, lines(4)[0]),
}


def trained(network_class, size):
    """As training would leave it: no norm, scale or bias at what it begins with, and outputs that differ."""
    torch.manual_seed(0)
    network = network_class(answers={"T0": 3, "T1": 2}, **size).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * parameter.std(correction=0).clamp(min=0.1) / 2)
    return network


def outputs(network, planes):
    with torch.inference_mode():
        logits, embedding = network(torch.from_numpy(planes))
        return torch.cat([values.softmax(dim=1) for values in logits.values()], dim=1).numpy(), embedding.numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_in_single_precision_folding_changes_nothing_but_rounding(name):
    network_class, size, planes = NETWORKS[name]
    network = trained(network_class, size)
    probabilities, embeddings = outputs(network, planes)
    folded_probabilities, folded_embeddings = outputs(fold(network, dtype=torch.float32), planes)
    np.testing.assert_allclose(folded_probabilities, probabilities, atol=2e-5)
    np.testing.assert_allclose(folded_embeddings, embeddings, atol=2e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_in_bfloat16_probabilities_and_embeddings_move_by_less_than_a_fiftieth(name):
    network_class, size, planes = NETWORKS[name]
    network = trained(network_class, size)
    probabilities, embeddings = outputs(network, planes)
    folded_probabilities, folded_embeddings = outputs(fold(network, dtype=torch.bfloat16), planes)
    np.testing.assert_allclose(folded_probabilities, probabilities, atol=0.02)
    assert np.linalg.norm(folded_embeddings - embeddings, axis=1).max() < 0.02


def test_training_that_goes_on_does_not_reach_the_folded_copy():
    network = trained(ImageNetwork, TINY_IMAGE)
    planes = blobs(2)[0]
    folded = fold(network, dtype=torch.float32)
    before, _ = outputs(folded, planes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(outputs(folded, planes)[0], before)


def test_folding_leaves_the_network_as_it_is():
    network = trained(ImageNetwork, TINY_IMAGE).train()
    kept = {name: values.clone() for name, values in network.state_dict().items()}
    fold(network)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(values, kept[name]) for name, values in network.state_dict().items())


def test_what_a_cpu_convolves_in_is_single_precision_unless_it_multiplies_bfloat16_itself(monkeypatch):
    for found, expected in (
        ({}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True, "avx512_bf16": False}, torch.bfloat16),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found)
        assert best_dtype() is expected
