"""What is written is read back, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import pickle

import pytest
import safetensors.torch
import torch

from classifier.data import Question
from classifier.networks import ImageNetwork, SpectrumNetwork, UnknownArchitectureError
from classifier.weights import (
    CARD_KEY,
    LARGEST_HEADER_BYTES,
    WeightsChangedError,
    WeightsFormatError,
    WeightsLabelsError,
    WeightsMissingError,
    WeightsShapeError,
    card_path,
    load_weights,
    read_card,
    save_weights,
)

from .quick_planes import TINY_IMAGE

QUESTIONS = (Question("T1", ("yes", "no")), Question("T0", ("a", "b", "c")))


@pytest.fixture
def network():
    return ImageNetwork(answers={"T1": 2, "T0": 3}, **TINY_IMAGE).eval()


@pytest.fixture
def saved(network, tmp_path):
    path = tmp_path / "models" / "first.safetensors"
    return path, save_weights([network], path, questions=QUESTIONS, facts={"seconds": 1.5})


def register(path, content):
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def rewritten(path, *, tensors=None, **card_changes):
    """The file with a changed card or changed tensors, registered under its new hash."""
    content = path.read_bytes()
    card = json.loads(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"][CARD_KEY])
    tensors = safetensors.torch.load(content) if tensors is None else {k: v.contiguous() for k, v in tensors.items()}
    return register(path, safetensors.torch.save(tensors, {CARD_KEY: json.dumps({**card, **card_changes})}))


def test_what_is_saved_is_loaded_with_its_card(network, saved):
    path, card = saved
    (loaded,), loaded_card = load_weights(path, sha256=card.sha256, questions=QUESTIONS)
    assert loaded_card == card
    assert card.facts == {"seconds": 1.5}
    planes = torch.randn(2, 128, 128)
    for ours, theirs in zip(network(planes)[0].values(), loaded(planes)[0].values(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_same_network_makes_the_same_bytes(network, saved, tmp_path):
    again = save_weights([network], tmp_path / "again.safetensors", questions=QUESTIONS, facts={"seconds": 1.5})
    assert again.sha256 == saved[1].sha256


def test_the_card_beside_the_file_is_readable_json(saved):
    path, card = saved
    assert read_card(path) == card
    assert json.loads(card_path(path).read_text())["questions"][0] == {"name": "T1", "answers": ["yes", "no"]}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsMissingError, match="gone"):
        load_weights(tmp_path / "gone.safetensors", sha256="0" * 64)


def test_a_changed_byte_is_refused(saved):
    path, card = saved
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(WeightsChangedError):
        load_weights(path, sha256=card.sha256)


def test_a_pickle_is_refused_without_being_run(tmp_path):
    path = tmp_path / "evil.safetensors"

    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("the pickle ran",))

    for content in (pickle.dumps(Evil()), b"PK\x03\x04" + bytes(100)):
        with pytest.raises(WeightsFormatError, match="pickle"):
            load_weights(path, sha256=register(path, content))


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, (10).to_bytes(8, "little") + b"not json at all"])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "damaged.safetensors"
    with pytest.raises(WeightsFormatError):
        load_weights(path, sha256=register(path, content))


def test_a_truncated_file_is_refused(saved):
    path, _ = saved
    with pytest.raises(WeightsFormatError):
        load_weights(path, sha256=register(path, path.read_bytes()[:-100]))


def test_safetensors_of_another_program_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    with pytest.raises(WeightsFormatError, match="another program"):
        load_weights(path, sha256=register(path, safetensors.torch.save({"weight": torch.zeros(3)})))


def test_an_unknown_architecture_is_refused(saved):
    path, _ = saved
    with pytest.raises(UnknownArchitectureError):
        load_weights(path, sha256=rewritten(path, architecture="resnet-50"))


def test_the_weights_of_another_architecture_are_refused(saved):
    path, _ = saved
    spectrum = SpectrumNetwork(answers={"T1": 2, "T0": 3}, **TINY_IMAGE)
    with pytest.raises(WeightsShapeError):
        load_weights(path, sha256=rewritten(path, tensors=spectrum.state_dict()))


def test_weights_that_are_not_numbers_are_refused(network, saved):
    path, _ = saved
    tensors = {name: value.clone().contiguous() for name, value in network.state_dict().items()}
    tensors["embed.bias"][0] = torch.nan
    with pytest.raises(WeightsShapeError, match="finite"):
        load_weights(path, sha256=rewritten(path, tensors=tensors))


def test_a_card_of_a_later_format_is_refused(saved):
    path, _ = saved
    with pytest.raises(WeightsFormatError, match="format"):
        load_weights(path, sha256=rewritten(path, format=99))


@pytest.mark.parametrize(
    "asked",
    [
        QUESTIONS[::-1],
        QUESTIONS[:1],
        (Question("T1", ("no", "yes")), QUESTIONS[1]),
        (Question("T9", ("yes", "no")), QUESTIONS[1]),
    ],
)
def test_labels_other_than_the_workflows_are_refused(saved, asked):
    path, card = saved
    with pytest.raises(WeightsLabelsError):
        load_weights(path, sha256=card.sha256, questions=asked)


def test_a_card_whose_questions_are_not_its_heads_is_refused(saved):
    path, _ = saved
    swapped = [{"name": q.name, "answers": list(q.answers)} for q in QUESTIONS[::-1]]
    with pytest.raises(WeightsShapeError):
        load_weights(path, sha256=rewritten(path, questions=swapped))


def test_a_network_is_not_saved_under_other_labels(network, tmp_path):
    with pytest.raises(WeightsLabelsError):
        save_weights([network], tmp_path / "x.safetensors", questions=QUESTIONS[::-1])
    assert not list(tmp_path.iterdir())


def test_an_ensemble_is_one_file_with_one_hash(tmp_path):
    members = [ImageNetwork(answers={"T1": 2, "T0": 3}, **TINY_IMAGE).eval() for _ in range(3)]
    path = tmp_path / "three.safetensors"
    card = save_weights(members, path, questions=QUESTIONS)
    loaded, loaded_card = load_weights(path, sha256=card.sha256, questions=QUESTIONS)
    assert (card.members, loaded_card.members, len(loaded)) == (3, 3, 3)
    planes = torch.randn(2, 128, 128)
    for ours, theirs in zip(members, loaded, strict=True):
        assert torch.equal(ours(planes)[1], theirs(planes)[1])


def test_members_that_differ_are_not_saved_together(network, tmp_path):
    other = ImageNetwork(answers={"T1": 2, "T0": 3}, **{**TINY_IMAGE, "kernel_size": 5})
    for members in ([network, other], []):
        with pytest.raises(WeightsShapeError):
            save_weights(members, tmp_path / "x.safetensors", questions=QUESTIONS)


def test_a_card_that_names_more_members_than_there_are_is_refused(saved):
    path, _ = saved
    with pytest.raises(WeightsShapeError):
        load_weights(path, sha256=rewritten(path, members=2))


@pytest.mark.parametrize("members", [0, -1, 10**9, "2", None, 1.5])
def test_a_number_of_members_that_makes_no_sense_is_refused(saved, members):
    path, _ = saved
    with pytest.raises(WeightsFormatError):
        load_weights(path, sha256=rewritten(path, members=members))


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 8 + b"{}", (2**40).to_bytes(8, "little") + b"{}"])
def test_a_header_longer_than_the_file_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    with pytest.raises(WeightsFormatError):
        load_weights(path, sha256=register(path, content))


def test_a_header_larger_than_any_networks_is_refused_before_it_is_parsed(tmp_path):
    header = b"{" + b" " * (LARGEST_HEADER_BYTES + 1) + b"}"
    path = tmp_path / "x.safetensors"
    with pytest.raises(WeightsFormatError, match="longer"):
        load_weights(path, sha256=register(path, len(header).to_bytes(8, "little") + header))


def test_a_header_nested_without_end_is_refused(tmp_path):
    header = b"[" * 200_000
    path = tmp_path / "x.safetensors"
    with pytest.raises(WeightsFormatError):
        load_weights(path, sha256=register(path, len(header).to_bytes(8, "little") + header))


def test_a_card_that_describes_a_network_larger_than_the_machine_takes_no_memory(saved):
    path, card = saved
    arguments = {**card.arguments, "widths": [2**22, 2**22], "stem_widths": [2**22, 2**22]}
    with pytest.raises((WeightsShapeError, UnknownArchitectureError)):
        load_weights(path, sha256=rewritten(path, arguments=arguments))
