from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.demo.survey.difficulty import (
    IMAGE_CLASSES,
    SPECTRUM_CLASSES,
    Draw,
    draw_object,
    latent_difficulty,
    object_rng,
)


@given(u=st.floats(0, 1, exclude_max=True), hard_share=st.floats(0, 1))
def test_difficulty_lies_between_0_and_1_and_the_hard_share_above_one_half(u: float, hard_share: float) -> None:
    difficulty = latent_difficulty(u, hard_share=hard_share)
    assert 0 <= difficulty <= 1
    if u < 1 - hard_share - 1e-9:
        assert difficulty <= 0.5
    elif u > 1 - hard_share + 1e-9:
        assert difficulty > 0.5


@given(hard_share=st.floats(0.01, 0.99), u=st.floats(0, 0.99), step=st.floats(0, 0.009))
def test_difficulty_never_falls_with_its_quantile(hard_share: float, u: float, step: float) -> None:
    assert latent_difficulty(u + step, hard_share=hard_share) >= latent_difficulty(u, hard_share=hard_share) - 1e-12


@pytest.mark.parametrize("hard_share", [0.0, 0.1, 0.3, 1.0])
def test_every_fifty_objects_have_the_share_of_hard_ones_that_was_asked_for(hard_share: float) -> None:
    draws = [draw_object(kind="image", index=i, seed=5, hard_share=hard_share) for i in range(100, 150)]
    assert sum(draw.is_hard for draw in draws) == pytest.approx(50 * hard_share, abs=1)


def test_every_fifty_objects_have_the_documented_class_shares() -> None:
    images = Counter(draw_object(kind="image", index=i, seed=5, hard_share=0.1).class_name for i in range(50))
    spectra = Counter(draw_object(kind="spectrum", index=i, seed=5, hard_share=0.1).class_name for i in range(50))
    assert images == IMAGE_CLASSES
    assert spectra == SPECTRUM_CLASSES


def test_class_and_difficulty_depend_on_the_seed() -> None:
    def classes(seed: int) -> list[str]:
        return [draw_object(kind="image", index=i, seed=seed, hard_share=0.1).class_name for i in range(50)]

    assert classes(1) != classes(2)
    assert classes(1) == classes(1)


def test_hard_ones_are_spread_over_the_classes() -> None:
    hard = [
        draw.class_name
        for draw in (draw_object(kind="image", index=i, seed=3, hard_share=0.1) for i in range(3000))
        if draw.is_hard
    ]
    shares = {name: count / 50 for name, count in IMAGE_CLASSES.items()}
    for name, count in Counter(hard).items():
        assert count / len(hard) == pytest.approx(shares[name], abs=0.06)


def test_no_two_objects_share_a_stream_of_random_numbers() -> None:
    first = {
        float(object_rng(kind=kind, index=index, seed=seed).random())
        for kind in ("image", "spectrum")
        for index in range(20)
        for seed in (0, 1)
    }
    assert len(first) == 80


def test_ambiguity_is_zero_for_easy_ones_and_rises_to_one() -> None:
    assert Draw(class_name="star", difficulty=0.4).ambiguity == 0
    assert Draw(class_name="star", difficulty=0.75).ambiguity == pytest.approx(0.5)
    assert Draw(class_name="star", difficulty=1.0).ambiguity == 1
