"""A training learns, can be repeated, and keeps to its held-out share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from classifier.data import Question, Samples, votes_for
from classifier.inference import Predictor
from classifier.networks import ImageNetwork
from classifier.optimisation import orthogonalised, split_weights
from classifier.training import (
    IMAGE_TRAINING,
    SPECTRUM_TRAINING,
    TrainingDataError,
    TrainingDivergedError,
    train,
)

from .quick_planes import LINE, SHAPE, TINY_IMAGE, TINY_SPECTRUM, blob_samples, blobs, line_samples, lines

IMAGES = replace(
    IMAGE_TRAINING,
    arguments=TINY_IMAGE,
    least_steps=60,
    most_steps=60,
    batch_size=12,
    learning_rate=1e-2,
    matrix_learning_rate=5e-2,
    strangeness_steps=30,
    device="cpu",
)
SPECTRA = replace(
    SPECTRUM_TRAINING,
    arguments=TINY_SPECTRUM,
    least_steps=120,
    most_steps=120,
    batch_size=16,
    learning_rate=1e-2,
    matrix_learning_rate=5e-2,
    strangeness_steps=30,
)
BRIEF = replace(IMAGES, least_steps=3, most_steps=3, strangeness_steps=3)


def test_it_learns_three_forms_from_sixty_images():
    trained = train(blob_samples(60), IMAGES)
    planes, labels = blobs(60, seed=1)
    predictions = Predictor(trained.networks, questions=(SHAPE,), device="cpu").predict(planes)
    assert (predictions.probabilities["T0"].argmax(axis=1) == labels).mean() > 0.9


def test_it_learns_a_line_from_sixty_spectra():
    trained = train(line_samples(60), SPECTRA)
    planes, labels = lines(60, seed=1)
    predictions = Predictor(trained.networks, questions=(LINE,), device="cpu").predict(planes)
    assert (predictions.probabilities["T0"].argmax(axis=1) == labels).mean() > 0.9


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, again, other = (
        train(blob_samples(30), config).networks[0].state_dict() for config in (BRIEF, BRIEF, replace(BRIEF, seed=1))
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_it_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(blob_samples(12), BRIEF)
    assert torch.equal(torch.rand(3), expected)


def test_it_reports_progress_up_to_the_last_step():
    seen = []
    trained = train(blob_samples(12), BRIEF, seen.append)
    assert [report.step for report in seen] == [1, 2, 3]
    assert tuple(seen) == trained.history


def test_an_exception_of_the_listener_ends_the_training():
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(blob_samples(12), BRIEF, stop)


def test_held_out_subjects_teach_nothing():
    samples = blob_samples(30)
    trained = train(samples, BRIEF)
    hidden = np.isin(samples.subject_ids, trained.hold_out.subject_ids)
    assert 0 < hidden.sum() < 30
    planes = samples.planes.copy()
    planes[hidden] = 0
    again = train(replace(samples, planes=planes), BRIEF)
    for name, value in trained.networks[0].state_dict().items():
        assert torch.equal(value, again.networks[0].state_dict()[name])


def test_the_strangeness_of_known_subjects_is_measured_on_those_that_did_not_teach_it():
    samples = blob_samples(60)
    trained = train(samples, BRIEF)
    known = trained.known_strangeness
    assert len(trained.hold_out.subject_ids) < len(known) < 30
    assert (np.diff(known) >= 0).all()
    everywhere = Predictor(trained.networks, questions=(SHAPE,), device="cpu").predict(samples.planes).strangeness
    held_out = np.isin(samples.subject_ids, trained.hold_out.subject_ids)
    assert np.isin(known.round(4), everywhere.round(4)).mean() > 0.9
    assert np.isin(everywhere[held_out].round(4), known.round(4)).mean() > 0.9


def test_every_subject_seen_is_remembered_the_held_out_included():
    samples = blob_samples(30)
    assert train(samples, BRIEF).trained_ids.tolist() == samples.subject_ids.tolist()


def test_without_a_held_out_share_nothing_is_measured():
    trained = train(blob_samples(12), replace(BRIEF, hold_out_share=0))
    assert len(trained.hold_out.subject_ids) == 0
    assert trained.facts()["accuracy"] == {"T0": None}


def test_a_warm_start_continues_the_earlier_network():
    samples = blob_samples(60)
    first = train(samples, IMAGES)
    cold = train(samples, BRIEF)
    warm = train(samples, BRIEF, warm_start=first.networks[0])
    assert warm.hold_out.log_loss["T0"] < cold.hold_out.log_loss["T0"]


def test_a_warm_start_with_another_question_keeps_the_encoder():
    first = train(blob_samples(12), BRIEF)
    planes, labels = blobs(12)
    other = Samples(
        planes=planes,
        votes={"T0": votes_for(labels % 2, answers=2)},
        questions=(Question("T0", ("even", "odd")),),
        subject_ids=np.arange(12),
    )
    warm = train(other, replace(BRIEF, least_steps=1, most_steps=1, learning_rate=0.0), warm_start=first.networks[0])
    assert torch.equal(warm.networks[0].encoder[0].weight, first.networks[0].encoder[0].weight)
    assert warm.networks[0].arguments["answers"] == {"T0": 2}


def test_two_questions_are_learned_together_where_each_was_asked():
    planes, labels = blobs(60)
    bar = np.where(labels == 0, -1, labels == 1)
    samples = Samples(
        planes=planes,
        votes={"T0": 5 * votes_for(labels, answers=3), "T1": votes_for(bar, answers=2, count=3)},
        questions=(SHAPE, Question("T1", ("round", "long"))),
        subject_ids=np.arange(60),
    )
    trained = train(samples, IMAGES)
    predictions = Predictor(trained.networks, questions=samples.questions, device="cpu").predict(planes)
    asked = bar >= 0
    assert (predictions.probabilities["T1"].argmax(axis=1) == bar)[asked].mean() > 0.9
    assert set(trained.hold_out.accuracy) == {"T0", "T1"}


def test_a_single_answer_is_nothing_to_learn():
    samples = blob_samples(12)
    with pytest.raises(TrainingDataError, match="T0"):
        train(replace(samples, votes={"T0": votes_for([1] * 12, answers=3)}), BRIEF)


def test_spectra_are_refused_by_an_image_training():
    with pytest.raises(TrainingDataError, match="image-convnext-3"):
        train(line_samples(12), BRIEF)


def test_a_loss_that_is_no_number_ends_the_training():
    with pytest.raises(TrainingDivergedError):
        train(blob_samples(12), replace(BRIEF, learning_rate=1e30))


def test_the_steps_grow_with_the_subjects_between_their_limits():
    config = replace(IMAGE_TRAINING, epochs=10, batch_size=32, least_steps=200, most_steps=2000)
    assert [config.steps(count) for count in (10, 1600, 10**6)] == [200, 500, 2000]


def test_the_members_of_an_ensemble_differ_and_are_measured_together():
    samples = blob_samples(30)
    seen = []
    trained = train(samples, replace(BRIEF, members=2), seen.append)
    alone = train(samples, BRIEF)
    first, second = (network.state_dict() for network in trained.networks)
    assert all(torch.equal(value, alone.networks[0].state_dict()[name]) for name, value in first.items())
    assert not torch.equal(first["embed.weight"], second["embed.weight"])
    assert [report.step for report in seen] == [1, 2, 3, 4, 5, 6]
    held_out = np.isin(samples.subject_ids, trained.hold_out.subject_ids)
    together = Predictor(trained.networks, questions=(SHAPE,), device="cpu").predict(samples.planes[held_out])
    np.testing.assert_allclose(trained.hold_out.probabilities["T0"], together.probabilities["T0"], rtol=1e-5)


def test_a_step_is_as_long_in_every_direction():
    matrix = torch.diag(torch.tensor([1.0, 0.1, 0.02])) @ torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    for shape in (matrix, matrix.T):
        singular = torch.linalg.svdvals(orthogonalised(shape))
        assert singular.min() > 0.5
        assert singular.max() < 1.3


def test_every_weight_is_moved_by_one_optimiser():
    network = ImageNetwork(answers={"T0": 3, "T1": 2}, **TINY_IMAGE)
    groups = split_weights(network)
    assert sorted(id(p) for group in groups for p in group) == sorted(id(p) for p in network.parameters())
    assert not {id(p) for p in network.heads.parameters()} & {id(p) for p in groups[0]}
