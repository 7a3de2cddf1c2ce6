"""Thresholds beside MAPIE's Learn-then-Test for the error among the accepted, on the same samples and the same grid."""

from __future__ import annotations

import numpy as np
import pytest

from classifier.selection import CalibrationSample, binomial_p_value, certify_threshold, grid_from_pool

risk_control = pytest.importorskip("mapie.risk_control")

# MAPIE says by a warning, not an error, that no threshold could be certified.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def draw(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and whether the answer is right: a machine that is often right where it is sure."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(4, 1, size)
    return scores, rng.random(size) < 0.55 + 0.45 * scores**0.5


def both(seed: int, *, alpha: float, delta: float, size: int = 2500):
    scores, correct = draw(seed, size)
    pool, _ = draw(seed + 1000, 20_000)
    grid = grid_from_pool(pool, sample_size=size, alpha=alpha, delta=delta)
    ours = certify_threshold(
        CalibrationSample(
            subject_ids=np.arange(size), scores=scores, correct=correct, model_version="1", reserved_for="1"
        ),
        alpha=alpha,
        delta=delta,
        trained_ids=[],
        grid=grid,
    )
    controller = risk_control.BinaryClassificationController(
        predict_function=lambda x: np.stack([1 - x[:, 0], x[:, 0]], axis=1),
        # MAPIE's own `precision` is one minus this, and rounds one error up more often for it.
        risk=risk_control.BinaryRisk(
            risk_occurrence=lambda truth, said: said.ravel() != truth.ravel(),
            risk_condition=lambda _, said: said.ravel() == 1,
            higher_is_better=False,
        ),
        target_level=alpha,
        best_predict_param_choice=risk_control.recall,
        confidence_level=1 - delta,
        list_predict_params=grid,
        fwer_method="fixed_sequence",
    ).calibrate(scores[:, None], correct.astype(int))
    return ours, controller


@pytest.mark.parametrize(("alpha", "delta"), [(0.02, 0.05), (0.05, 0.05), (0.1, 0.01), (0.1, 0.2)])
def test_mapie_certifies_the_same_thresholds_but_where_it_rounds_an_error_up(alpha: float, delta: float) -> None:
    certified = same = equal = tests = 0
    for seed in range(12):
        ours, controller = both(seed, alpha=alpha, delta=delta)
        p = np.array([step.p_value for step in ours.steps])
        theirs = np.asarray(controller.p_values).ravel()[: len(p)]
        # MAPIE rounds n (k / n) up: where that product is a hair above k, it reckons with an error more.
        errors, accepted = (np.array([getattr(step, name) for step in ours.steps]) for name in ("errors", "accepted"))
        one_more = binomial_p_value(errors + 1, accepted, alpha)
        assert (theirs >= p * (1 - 1e-9)).all()
        assert (theirs <= one_more * (1 + 1e-9)).all()
        equal += np.isclose(theirs, p, rtol=1e-9).sum()
        tests += len(p)
        # The walk over the same p-values is the same, here over MAPIE's and there over ours.
        walk = risk_control.FWERFixedSequenceTesting(n_starts=1)
        assert len(walk.run(p, delta)) == (p <= delta).sum()
        assert len(controller.valid_predict_params) == len(walk.run(theirs, delta))
        valid = list(controller.valid_predict_params)
        if valid:
            assert ours.threshold is not None
            assert ours.threshold <= min(valid)
            same += ours.threshold == min(valid)
        certified += ours.threshold is not None
    assert equal > 0.8 * tests
    assert same >= certified / 2
    assert certified or alpha == 0.02, "twelve samples without a certificate compare nothing"


def test_the_p_value_is_mapies_for_a_loss_of_nought_or_one() -> None:
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

    accepted = 2 ** np.arange(1, 10)  # n · (k / n) is k exactly
    for share in (0.0, 0.01, 0.04):
        errors = np.floor(share * accepted)
        for alpha in (0.01, 0.05, 0.2):
            theirs = np.array(
                [
                    compute_hoeffding_bentkus_p_value(np.array([k / n]), int(n), alpha, binary=True).item()
                    for k, n in zip(errors, accepted, strict=True)
                ]
            )
            np.testing.assert_allclose(binomial_p_value(errors, accepted, alpha), theirs, rtol=1e-9, atol=1e-15)
