"""The fast path: same numbers from an array and a shard, at any batch size, also after memory ran out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from classifier import inference
from classifier.devices import DeviceLostError, DeviceMemoryError, DeviceMissingError
from classifier.folding import best_dtype
from classifier.inference import PlanesError, Predictor, PredictorSettingsError
from classifier.networks import ImageNetwork, SpectrumNetwork
from classifier.shards import DamagedShardError, write_shard
from classifier.weights import save_weights

from .quick_planes import LINE, SHAPE, TINY_IMAGE, TINY_SPECTRUM, blobs, lines

PLANES = blobs(11)[0]


def tiny(seed=0, **changes):
    torch.manual_seed(seed)
    return ImageNetwork(answers={"T0": 3}, **{**TINY_IMAGE, **changes})


def predictor(*networks, **settings):
    return Predictor(networks or [tiny()], questions=(SHAPE,), device="cpu", **{"batch_size": 4, **settings})


# In bfloat16 a sum in another order may round the other way.
ROUNDING = 1e-5 if best_dtype() is torch.float32 else 5e-3


def same(ours, theirs):
    np.testing.assert_allclose(ours.probabilities["T0"], theirs.probabilities["T0"], atol=ROUNDING)
    np.testing.assert_allclose(ours.embeddings, theirs.embeddings, atol=ROUNDING)


def test_probabilities_sum_to_one_and_embeddings_have_length_one():
    predictions = predictor().predict(PLANES)
    assert predictions.probabilities["T0"].shape == (11, 3)
    assert predictions.probabilities["T0"].dtype == predictions.embeddings.dtype == np.float32
    np.testing.assert_allclose(predictions.probabilities["T0"].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(predictions.embeddings, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 5, 100])
@pytest.mark.parametrize("read_ahead", [0, 3])
def test_the_batch_size_and_the_reading_ahead_change_nothing(batch_size, read_ahead):
    same(predictor(batch_size=batch_size, read_ahead=read_ahead).predict(PLANES), predictor().predict(PLANES))


def test_a_shard_gives_what_its_array_gives(tmp_path):
    write_shard(tmp_path / "planes.npy", PLANES)
    same(predictor().predict(tmp_path / "planes.npy"), predictor().predict(PLANES))


def test_a_shard_can_be_resumed_where_it_was_left():
    whole = predictor().predict(PLANES)
    resumed = list(predictor().predict_batches(PLANES, start=8))
    assert [position for position, _ in resumed] == [8]
    np.testing.assert_allclose(resumed[0][1].embeddings, whole.embeddings[8:], atol=ROUNDING)


def test_chosen_rows_of_a_shard_are_predicted_in_their_order(tmp_path):
    write_shard(tmp_path / "planes.npy", PLANES)
    rows = np.array([9, 2, 2, 5])
    parts = list(predictor(batch_size=3).predict_batches(tmp_path / "planes.npy", rows=rows))
    embeddings = np.concatenate([part.embeddings for _, part in parts])
    np.testing.assert_allclose(embeddings, predictor().predict(PLANES[rows]).embeddings, atol=ROUNDING)


@pytest.mark.parametrize("row", [-1, 11])
def test_a_row_that_the_shard_does_not_have_is_refused(row):
    with pytest.raises(PlanesError):
        list(predictor().predict_batches(PLANES, rows=np.array([0, row])))


def test_a_device_that_the_machine_does_not_have_is_named():
    for device in ("cuda:97", "meta"):
        with pytest.raises(DeviceMissingError, match=device):
            Predictor([tiny()], questions=(SHAPE,), device=device)


def test_predicting_leaves_the_other_work_of_the_process_its_threads():
    before = torch.get_num_threads()
    predictor().predict(PLANES)
    assert torch.get_num_threads() == before


def test_a_lost_gpu_is_named_and_ends_the_process(monkeypatch):
    def fail(self, planes):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Hungry, "forward", fail)
    with pytest.raises(DeviceLostError, match="illegal memory access") as lost:
        predictor(hungry()).predict(PLANES)
    assert lost.value.ends_process


def test_no_planes_give_no_predictions():
    predictions = predictor().predict(PLANES[:0])
    assert predictions.probabilities["T0"].shape == (0, 3)
    assert predictions.embeddings.shape == (0, 16)


def test_all_eight_views_agree_on_a_turned_image():
    turned = np.ascontiguousarray(np.rot90(PLANES, axes=(1, 2)))
    same(predictor(views=8).predict(turned), predictor(views=8).predict(PLANES))


def test_four_views_agree_on_a_mirrored_image():
    same(predictor(views=4).predict(PLANES[:, ::-1]), predictor(views=4).predict(PLANES))


def test_an_ensemble_averages_its_softmaxes_and_keeps_the_first_embedding():
    members = [tiny(seed) for seed in range(3)]
    single = [predictor(member).predict(PLANES) for member in members]
    together = predictor(*members).predict(PLANES)
    mean = np.mean([predictions.probabilities["T0"] for predictions in single], axis=0)
    np.testing.assert_allclose(together.probabilities["T0"], mean, atol=ROUNDING)
    np.testing.assert_allclose(together.embeddings, single[0].embeddings, atol=ROUNDING)


class Hungry(ImageNetwork):
    """Runs out of memory above a number of planes."""

    most = 2

    def forward(self, planes):
        if len(planes) > self.most:
            raise torch.OutOfMemoryError("too many planes")
        return super().forward(planes)


def hungry():
    torch.manual_seed(0)
    return Hungry(answers={"T0": 3}, **TINY_IMAGE)


def test_the_batch_is_halved_when_memory_runs_out_and_nothing_is_lost_or_doubled():
    ours = predictor(hungry(), batch_size=8)
    same(ours.predict(PLANES), predictor().predict(PLANES))
    assert ours.batch_size == 2


def test_a_plane_that_does_not_fit_alone_is_a_named_error(monkeypatch):
    monkeypatch.setattr(Hungry, "most", 0)
    with pytest.raises(DeviceMemoryError):
        predictor(hungry()).predict(PLANES)


def test_other_errors_of_the_device_are_not_taken_for_lack_of_memory(monkeypatch):
    def fail(self, planes):
        raise RuntimeError("device lost")

    monkeypatch.setattr(Hungry, "forward", fail)
    with pytest.raises(RuntimeError, match="device lost"):
        predictor(hungry()).predict(PLANES)


@pytest.mark.parametrize("planes", [lines(2)[0], PLANES[:, :64], PLANES.astype(np.int16)])
def test_planes_of_another_shape_or_type_are_refused(planes):
    with pytest.raises(PlanesError):
        predictor().predict(planes)


def test_a_damaged_shard_is_refused(tmp_path):
    (tmp_path / "bad.npy").write_bytes(b"not a shard")
    with pytest.raises(DamagedShardError):
        predictor().predict(tmp_path / "bad.npy")


@pytest.mark.parametrize("views", [0, 2, 16])
def test_only_one_four_or_eight_views_exist(views):
    with pytest.raises(PredictorSettingsError):
        predictor(views=views)


def test_a_spectrum_has_one_view():
    network = SpectrumNetwork(answers={"T0": 2}, **TINY_SPECTRUM)
    assert len(Predictor([network], questions=(LINE,), device="cpu").predict(lines(3)[0])) == 3
    with pytest.raises(PredictorSettingsError):
        Predictor([network], questions=(LINE,), views=4)


def test_networks_of_different_questions_are_no_ensemble():
    with pytest.raises(PredictorSettingsError):
        predictor(tiny(), ImageNetwork(answers={"T0": 4}, **TINY_IMAGE))


def test_a_predictor_opens_registered_weights(tmp_path):
    card = save_weights([tiny()], tmp_path / "w.safetensors", questions=(SHAPE,))
    opened = Predictor.open([(tmp_path / "w.safetensors", card.sha256)], questions=(SHAPE,), device="cpu")
    same(opened.predict(PLANES), predictor().predict(PLANES))


class Capturable(TorchDispatchMode):
    """Refuses what a CUDA graph cannot record: constants from the host, and answers that the host waits for."""

    refused = ("aten::lift_fresh", "aten::_local_scalar_dense", "aten::nonzero", "aten::unique")

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.name()
        assert not name.startswith(self.refused), f"{name} cannot be recorded"
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", [ImageNetwork, SpectrumNetwork])
def test_a_forward_pass_can_be_recorded(kind, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")  # numpy is for a CPU alone
    planes = torch.zeros(2, *kind.plane_shape, dtype=torch.float16)
    network = kind(answers={"T0": 3}, **TINY_IMAGE).eval()
    with Capturable(), torch.inference_mode():
        network(planes)
        network.strangeness(planes)


def test_a_gpu_is_known_by_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert inference._present("cuda") == torch.device("cuda", 0)
    assert inference._present("cuda:1") == torch.device("cuda", 1)
