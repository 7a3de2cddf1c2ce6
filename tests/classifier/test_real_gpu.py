"""What only a real GPU can show. Skipped where there is none; `test_gpu.py` has what a stand-in can."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from classifier.augmentation import ImageAugmentation
from classifier.data import Question
from classifier.inference import Predictions, Predictor
from classifier.networks import ImageNetwork, Network, SpectrumNetwork
from classifier.training import TrainingConfig, train

from .quick_planes import SHAPE, TINY_IMAGE, TINY_SPECTRUM, blob_samples, blobs, lines

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")

QUESTION = Question("T0", ("a", "b", "c"))
LOST = """
import numpy as np, torch
from classifier.devices import DeviceLostError
from classifier.inference import Predictor
from tests.classifier.test_real_gpu import QUESTION, network
predictor = Predictor([network()], questions=(QUESTION,), device="cuda", batch_size=4)
batches = predictor.predict_batches(np.zeros((12, 128, 128), dtype=np.float16))
next(batches)
torch.zeros(1, device="cuda")[torch.tensor([7], device="cuda")]  # a kernel that fails, as a broken device does
try:
    list(batches)
except DeviceLostError as error:
    print("lost", error.ends_process)
"""


def network(kind: type[Network] = ImageNetwork, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return kind(answers={"T0": 3}, **(TINY_IMAGE if kind is ImageNetwork else TINY_SPECTRUM))


def on(device: str, networks: list[Network], planes: np.ndarray, **settings: Any) -> Predictions:
    return Predictor(networks, questions=(QUESTION,), device=device, **settings).predict(planes)


def assert_alike(ours: Predictions, expected: Predictions) -> None:
    # bf16 keeps eight bits.
    np.testing.assert_allclose(ours.probabilities["T0"], expected.probabilities["T0"], atol=0.02)
    assert (ours.embeddings * expected.embeddings).sum(axis=1).min() > 0.995
    np.testing.assert_allclose(ours.strangeness, expected.strangeness, atol=1e-3)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", [ImageNetwork, SpectrumNetwork])
def test_the_gpu_says_what_the_cpu_says(kind: type[Network], compiled: bool) -> None:
    planes = blobs(45)[0] if kind is ImageNetwork else lines(45)[0]
    predictor = Predictor([network(kind)], questions=(QUESTION,), device="cuda", batch_size=16, compiled=compiled)
    assert_alike(predictor.predict(planes), on("cpu", [network(kind)], planes))
    assert predictor._engine._graph is not None
    assert predictor._forward.compiled is compiled


def test_an_ensemble_over_eight_views_is_recorded_too() -> None:
    planes, members = blobs(9)[0], [network(seed=1), network(seed=2)]
    assert_alike(on("cuda", members, planes, views=8, batch_size=8), on("cpu", members, planes, views=8))
    assert all(next(member.parameters()).device.type == "cpu" for member in members)


def test_the_batch_is_halved_until_it_fits_into_the_memory_of_the_device() -> None:
    planes = blobs(20)[0]
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + (1 << 30)) / total)
    try:
        predictor = Predictor([network()], questions=(QUESTION,), device="cuda", batch_size=1 << 15)
        assert_alike(predictor.predict(planes), on("cpu", [network()], planes))
        assert 0 < predictor.batch_size < 1 << 15
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def test_a_network_trained_on_the_gpu_comes_back_to_the_cpu() -> None:
    config = TrainingConfig(
        architecture="image-convnext-3",
        arguments=TINY_IMAGE,
        augmentation=ImageAugmentation(),
        device="cuda",
        least_steps=150,
        most_steps=150,
        strangeness_steps=20,
    )
    trained = train(blob_samples(90), config)
    planes, labels = blobs(30, seed=5)
    predictor = Predictor(trained.networks, questions=(SHAPE,), device="cpu")
    assert (predictor.predict(planes).probabilities["T0"].argmax(axis=1) == labels).mean() > 0.8


def test_a_gpu_that_fails_is_named_and_ends_the_process() -> None:
    # In a process of its own: after such an error nothing works on the device in it.
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, check=False)
    assert "lost True" in done.stdout, done.stderr[-2000:]
